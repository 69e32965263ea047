"""How well predictors rank networks: Kendall's tau and Spearman's rho against trainings, with intervals."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from itertools import combinations
from math import ceil, isfinite
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from scipy.stats import kendalltau, spearmanr

from archfront.contracts import WrongUse
from archfront.report.figures import THEMES, styled
from archfront.report.report import write_picture

FEWEST = 5
"""Fewer networks rank no predictor."""
RESAMPLES = 2000
CEILING = "another training"

Values = npt.NDArray[np.float64]
Pairs = Sequence[tuple[Values, Values]]


@dataclass(frozen=True)
class Agreement:
    """How far two rankings of `n` networks agree: tau-b and rho, each with its 95 % interval.

    None where there is no figure; `note` then says why.
    """

    n: int
    tau: float | None = None
    tau_low: float | None = None
    tau_high: float | None = None
    rho: float | None = None
    rho_low: float | None = None
    rho_high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Ranked:
    """A predictor against the truth, over all networks and over the truth's top tenth."""

    predictor: str
    whole: Agreement
    top: Agreement


@dataclass(frozen=True)
class RankingReport:
    """Predictors against the truth, the best first.

    `ceiling` is the truth against itself: one training against another of the same networks with another seed. It is
    about what a predictor can reach; one that beats it does so because the truth, a mean over seeds, is known better
    than by one training. None where no two networks were trained twice.
    """

    networks: int
    trainings: int
    rows: tuple[Ranked, ...]
    ceiling: Ranked | None
    seed: int
    resamples: int

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "RankingReport":
        """What `to_json` wrote."""
        ceiling = value["ceiling"]
        rows = tuple(_ranked(row) for row in value["rows"])
        return cls(**{**value, "rows": rows, "ceiling": _ranked(ceiling) if ceiling else None})

    def table(self) -> str:
        """The report as text, one line per predictor."""
        head = ("predictor", "n", "Kendall τ (95 %)", "Spearman ρ (95 %)", "top tenth: n", "Kendall τ (95 %)")
        rows = [head] + [_cells(row) for row in (*self.rows, *([self.ceiling] if self.ceiling else []))]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        numbers = (1, 4)
        lines = [
            "  ".join(
                cell.rjust(width) if column in numbers else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join(lines)


def rank(
    truth: Mapping[str, Sequence[float]],
    predictors: Mapping[str, Mapping[str, float]],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> RankingReport:
    """Rank each predictor by how well it ranks the networks of `truth`.

    `truth` holds the figures of each network's trainings, the more the better, one per seed, by digest; the truth is
    their mean.
    `predictors` hold a value per digest, the more the better. A network without a finite value is left out for that
    predictor, which its `n` shows. Intervals are percentiles of a bootstrap over networks, drawn with `seed`. Memory
    grows with the square of the networks: up to a few thousand. Raises `WrongUse` for fewer than five networks.
    """
    known = {digest: finite for digest, runs in truth.items() if (finite := [run for run in runs if isfinite(run)])}
    if len(known) < FEWEST:
        raise WrongUse(f"a ranking needs {FEWEST} trained networks or more, not {len(known)}; train more of them")
    means = {digest: float(np.mean(runs)) for digest, runs in known.items()}
    top = _best(means)
    rows = []
    for name, values in predictors.items():
        agreements = [_against(values, chosen, seed, resamples) for chosen in (means, top)]
        rows.append(Ranked(name, *agreements))
    rows.sort(key=lambda row: -2.0 if row.whole.tau is None else row.whole.tau, reverse=True)
    trainings = sum(map(len, known.values()))
    return RankingReport(len(known), trainings, tuple(rows), _ceiling(known, top, seed, resamples), seed, resamples)


def _best(means: Mapping[str, float]) -> dict[str, float]:
    """The top tenth, and what is as good as the last of it."""
    bound = sorted(means.values(), reverse=True)[ceil(len(means) / 10) - 1]
    return {digest: value for digest, value in means.items() if value >= bound}


def _against(values: Mapping[str, float], truth: Mapping[str, float], seed: int, resamples: int) -> Agreement:
    """One predictor against the truth, over the networks that both know."""
    shared = [digest for digest in truth if isfinite(float(values.get(digest, "nan")))]
    pair = (np.array([values[d] for d in shared], dtype=float), np.array([truth[d] for d in shared]))
    return _agreement([pair], seed, resamples)


def _ceiling(
    known: Mapping[str, Sequence[float]], top: Mapping[str, float], seed: int, resamples: int
) -> Ranked | None:
    """Training against training: the mean over all pairs of as many seeds as every repeated network has."""
    repeated = {digest: runs for digest, runs in known.items() if len(runs) > 1}
    if len(repeated) < 2:
        return None
    seeds = min(map(len, repeated.values()))

    def agreement(chosen: Sequence[Sequence[float]]) -> Agreement:
        runs = np.array([row[:seeds] for row in chosen], dtype=float).reshape(-1, seeds)
        return _agreement([(runs[:, a], runs[:, b]) for a, b in combinations(range(seeds), 2)], seed, resamples)

    best = [runs for digest, runs in repeated.items() if digest in top]
    return Ranked(CEILING, agreement(list(repeated.values())), agreement(best))


def _agreement(pairs: Pairs, seed: int, resamples: int) -> Agreement:
    """The mean agreement of pairs of rankings of the same networks."""
    n = len(pairs[0][0])
    if n < FEWEST:
        return Agreement(n, note=f"too few: {n} of {FEWEST}")
    if any(len(set(values.tolist())) < 2 for pair in pairs for values in pair):
        return Agreement(n, note="all equal")
    tau = float(np.mean([kendalltau(x, y).statistic for x, y in pairs]))
    rho = float(np.mean([spearmanr(x, y).statistic for x, y in pairs]))
    # How often each network is drawn, in each resample.
    times = np.random.default_rng(seed).multinomial(n, [1 / n] * n, size=resamples).astype(np.float32)
    drawn = np.mean([resampled(x, y, times) for x, y in pairs], axis=0)
    # A resample of networks that are all equal ranks nothing.
    drawn = drawn[:, np.isfinite(drawn).all(0)]
    (tau_low, tau_high), (rho_low, rho_high) = np.percentile(drawn, [2.5, 97.5], axis=1).T.tolist()
    return Agreement(n, tau, tau_low, tau_high, rho, rho_low, rho_high)


def resampled(x: Values, y: Values, times: npt.NDArray[np.float32]) -> Values:
    """tau-b and rho, (2, resamples), of the networks with values `x` and `y` drawn `times` (resamples, networks).

    Copies of a network tie in both, so no pair of them counts. A rank is, but for a constant, the sum of the signs of
    the differences from all others.
    """
    above_x, above_y = (np.sign(values[:, None] - values[None, :]).astype(np.float32) for values in (x, y))

    def pairs(matrix: npt.NDArray[np.float32]) -> Values:
        return np.einsum("rn,rn->r", times @ matrix, times, dtype=np.float64)

    ranks_x, ranks_y = (np.asarray(times @ above.T, dtype=np.float64) for above in (above_x, above_y))
    with np.errstate(invalid="ignore", divide="ignore"):
        tau = pairs(above_x * above_y) / np.sqrt(pairs(above_x**2) * pairs(above_y**2))
        spread = (times * ranks_x**2).sum(1) * (times * ranks_y**2).sum(1)
        rho = (times * ranks_x * ranks_y).sum(1) / np.sqrt(spread)
    return np.stack([tau, rho])


def _ranked(value: Mapping[str, Any]) -> Ranked:
    return Ranked(value["predictor"], Agreement(**value["whole"]), Agreement(**value["top"]))


def _cells(row: Ranked) -> tuple[str, ...]:
    whole, top = row.whole, row.top
    rho = _figure(whole.rho, whole.rho_low, whole.rho_high, whole.note)
    return (row.predictor, str(whole.n), _tau(whole), rho, str(top.n), _tau(top))


def _tau(agreement: Agreement) -> str:
    return _figure(agreement.tau, agreement.tau_low, agreement.tau_high, agreement.note)


def _figure(value: float | None, low: float | None, high: float | None, note: str) -> str:
    return note if value is None or low is None or high is None else f"{value:5.2f} [{low:5.2f}, {high:5.2f}]"


def figure(report: RankingReport, theme: str = "light") -> go.Figure:
    """Each predictor's tau with its interval, over all networks and the top tenth; the ceiling as a line and band."""
    drawn = go.Figure()
    colors = THEMES[theme]
    rows = [*report.rows, *([report.ceiling] if report.ceiling else [])]
    for name, color, symbol, shift in (
        ("all networks", colors.front, "circle", 0.12),
        ("top tenth", colors.bad, "diamond", -0.12),
    ):
        found = [(row, row.whole if symbol == "circle" else row.top) for row in rows]
        known = [(len(rows) - at + shift, row, one) for at, (row, one) in enumerate(found) if one.tau is not None]
        drawn.add_trace(_intervals(name, known, color, symbol))
    ceiling = report.ceiling.whole if report.ceiling else None
    if ceiling and ceiling.tau is not None:
        drawn.add_vrect(x0=ceiling.tau_low, x1=ceiling.tau_high, fillcolor=colors.point, opacity=0.15, line_width=0)
        drawn.add_vline(x=ceiling.tau, line={"color": colors.point, "dash": "dot"})
    labels = [f"{escape(row.predictor)} (n = {row.whole.n}, top {row.top.n})" for row in rows]
    ticks = {"tickvals": list(range(len(rows), 0, -1)), "ticktext": labels}
    drawn.update_yaxes(**ticks, range=[0.4, len(rows) + 0.6], automargin=True)
    drawn.update_xaxes(title={"text": "Kendall τ with the trained networks' ranking, 95 % interval"})
    return styled(drawn, theme)


def _intervals(name: str, known: Sequence[tuple[float, Ranked, Agreement]], color: str, symbol: str) -> go.Scatter:
    """One trace: points at tau, bars to both ends of the interval."""
    taus = [float(one.tau or 0) for _, _, one in known]
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [float(one.tau_high or 0) - tau for tau, (_, _, one) in zip(taus, known, strict=True)],
        "arrayminus": [tau - float(one.tau_low or 0) for tau, (_, _, one) in zip(taus, known, strict=True)],
        "thickness": 1.5,
        "width": 4,
    }
    texts = [f"<b>{escape(row.predictor)}</b>, n = {one.n}<br>τ {_tau(one)}" for _, row, one in known]
    return go.Scatter(
        x=taus,
        y=[at for at, _, _ in known],
        mode="markers",
        name=name,
        error_x=bars,
        marker={"color": color, "symbol": symbol, "size": 9},
        text=texts,
        hovertemplate="%{text}<extra>%{fullData.name}</extra>",
    )


def write_ranking(report: RankingReport, path: str | Path) -> Path:
    """Write the report to `path` as its ending says: .json, .txt (the table), .html (the figure, with all it needs),
    or a picture (.png, .svg, .pdf), which needs kaleido and a Chromium. Raises `WrongUse` where that can't be."""
    target = Path(path)
    height = 130 + 44 * (len(report.rows) + 1)
    writers = {
        ".json": lambda: target.write_text(json.dumps(report.to_json(), indent=1) + "\n", encoding="utf-8"),
        ".txt": lambda: target.write_text(report.table() + "\n", encoding="utf-8"),
        ".html": lambda: figure(report).write_html(target, include_plotlyjs=True),
        **dict.fromkeys((".png", ".svg", ".pdf"), lambda: write_picture(figure(report), target, 900, height)),
    }
    if target.suffix not in writers:
        raise WrongUse(f"{target} is no kind of file to write a ranking to; end it in {', '.join(writers)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        writers[target.suffix]()
    except OSError as error:
        raise WrongUse(f"can't write {target}: {error.strerror}; name another file") from None
    return target

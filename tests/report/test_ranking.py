"""The ranking report: known values, ties, intervals that cover, and what it says when there is too little."""

import json
import shutil
from math import asin, pi
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from archfront.contracts import WrongUse
from archfront.report.ranking import CEILING, RankingReport, figure, rank, resampled, write_ranking

Truth = dict[str, list[float]]


def correlated(n: int, seed: int, seeds: int = 1, noise: float = 0.3) -> tuple[Truth, dict[str, float]]:
    """Networks whose trainings scatter by `noise` about a quality, and a predictor that scatters just so."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=n)
    runs = quality[:, None] + noise * rng.normal(size=(n, seeds))
    guess = quality + noise * rng.normal(size=n)
    names = [f"{i:032x}" for i in range(n)]
    return dict(zip(names, runs.tolist(), strict=True)), dict(zip(names, guess.tolist(), strict=True))


def test_known_values() -> None:
    truth = {name: [value] for name, value in zip("abcde", (0.1, 0.2, 0.3, 0.4, 0.5), strict=True)}
    same = {name: runs[0] for name, runs in truth.items()}
    swapped = {**same, "a": 0.2, "b": 0.1}  # one of ten pairs the other way round
    against = {name: -value for name, value in same.items()}
    report = rank(truth, {"against": against, "swapped": swapped, "same": same})
    assert [(row.predictor, row.whole.tau, row.whole.rho) for row in report.rows] == [
        ("same", pytest.approx(1.0), pytest.approx(1.0)),
        ("swapped", pytest.approx(0.8), pytest.approx(0.9)),
        ("against", pytest.approx(-1.0), pytest.approx(-1.0)),
    ]
    assert (report.rows[0].whole.tau_low, report.rows[0].whole.tau_high) == (pytest.approx(1), pytest.approx(1))
    assert report.networks == report.trainings == report.rows[1].whole.n == 5 and report.ceiling is None


def test_the_truth_is_the_mean_over_seeds_and_the_ceiling_seed_against_seed() -> None:
    truth, guess = correlated(40, 0, seeds=3)
    found = rank(truth, {"guess": guess})
    means = [np.mean(runs) for runs in truth.values()]
    assert found.rows[0].whole.tau == pytest.approx(kendalltau(means, list(guess.values())).statistic)
    assert found.rows[0].whole.rho == pytest.approx(spearmanr(means, list(guess.values())).statistic)
    runs = np.array(list(truth.values()))
    between = [kendalltau(runs[:, a], runs[:, b]).statistic for a, b in ((0, 1), (0, 2), (1, 2))]
    assert found.ceiling is not None and found.ceiling.predictor == CEILING
    assert found.ceiling.whole.tau == pytest.approx(np.mean(between)) and found.trainings == 120
    # A training that is missing or failed leaves the others of its network in the truth.
    first = next(iter(truth))
    partial = rank({**truth, first: [truth[first][0], float("nan")]}, {"guess": guess})
    assert partial.ceiling is not None and partial.ceiling.whole.n == 39
    assert partial.networks == 40 and partial.trainings == 118


def test_the_top_tenth_is_the_truth_s() -> None:
    truth, guess = correlated(60, 1)
    top = rank(truth, {"guess": guess}).rows[0].top
    best = sorted(truth, key=lambda name: -truth[name][0])[:6]
    expected = kendalltau([truth[name][0] for name in best], [guess[name] for name in best]).statistic
    assert (top.n, top.tau) == (6, pytest.approx(expected))
    assert top.tau_high - top.tau_low > 0.5  # six networks say little, and the interval says so
    tied = {**truth, **{name: [max(truth[best[5]])] for name in sorted(truth, key=lambda n: -truth[n][0])[6:8]}}
    assert rank(tied, {"guess": guess}).rows[0].top.n == 8
    few = rank(dict(list(truth.items())[:40]), {"guess": guess})
    assert few.rows[0].top.tau is None and few.rows[0].top.note == "too few: 4 of 5"
    assert "too few: 4 of 5" in few.table()


def test_ties_and_what_is_missing() -> None:
    truth, guess = correlated(30, 2)
    coarse = {name: round(value) for name, value in guess.items()}
    holes = dict(list(guess.items())[10:]) | {list(guess)[10]: float("nan")}
    rows = {
        row.predictor: row
        for row in rank(truth, {"coarse": coarse, "holes": holes, "same": dict.fromkeys(guess, 1.0), "no": {}}).rows
    }
    flat = [runs[0] for runs in truth.values()]
    assert rows["coarse"].whole.tau == pytest.approx(kendalltau(flat, list(coarse.values())).statistic)
    assert rows["holes"].whole.n == 19
    assert rows["same"].whole.tau is None and rows["same"].whole.note == "all equal"
    assert rows["no"].whole.note == "too few: 0 of 5"


def test_resampling_is_tau_b_and_rho_of_the_drawn_networks() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, 20).astype(float), rng.normal(size=20)
    times = rng.multinomial(20, [1 / 20] * 20, size=5)
    found = resampled(x, y, times.astype(np.float32))
    for column, count in zip(found.T, times, strict=True):
        drawn = np.repeat(np.arange(20), count)
        assert column[0] == pytest.approx(kendalltau(x[drawn], y[drawn]).statistic, abs=1e-6)
        assert column[1] == pytest.approx(spearmanr(x[drawn], y[drawn]).statistic, abs=1e-6)


def test_intervals_cover() -> None:
    """Of 200 samples of 60 networks, the interval holds the true tau, 2/pi asin(rho), in about 95 %."""
    correlation = 1 / (1 + 0.5**2)
    true = 2 / pi * asin(correlation)
    covered = 0
    for seed in range(200):
        truth, guess = correlated(60, seed, noise=0.5)
        whole = rank(truth, {"guess": guess}, seed, resamples=300).rows[0].whole
        covered += whole.tau_low <= true <= whole.tau_high
    assert 180 <= covered <= 199


def test_intervals_hang_on_the_seed_alone() -> None:
    truth, guess = correlated(30, 3)
    assert rank(truth, {"guess": guess}, seed=1) == rank(truth, {"guess": guess}, seed=1)
    assert rank(truth, {"guess": guess}, seed=1).rows[0].whole != rank(truth, {"guess": guess}, seed=2).rows[0].whole


def test_too_few_networks_are_wrong_use() -> None:
    truth, guess = correlated(4, 0)
    with pytest.raises(WrongUse, match="a ranking needs 5 trained networks or more, not 4; train more of them"):
        rank(truth, {"guess": guess})
    with pytest.raises(WrongUse, match="not 0"):
        rank({"a": [float("nan")]}, {})


@pytest.fixture(scope="module")
def report() -> RankingReport:
    truth, guess = correlated(60, 5, seeds=2)
    return rank(truth, {"params <b>": correlated(60, 6)[1], "supernet": guess, "nothing": {}})


def test_table(report: RankingReport) -> None:
    lines = report.table().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["predictor", "supernet", "params <b>", "nothing", CEILING]
    whole = report.rows[0].whole
    assert f"60   {whole.tau:.2f} [ {whole.tau_low:.2f},  {whole.tau_high:.2f}]" in lines[1]
    assert "too few: 0 of 5" in lines[3] and len({line.index("[") for line in (lines[1], lines[2], lines[4])}) == 1


def test_json_both_ways(report: RankingReport) -> None:
    assert RankingReport.from_json(json.loads(json.dumps(report.to_json(), allow_nan=False))) == report


def test_figure(report: RankingReport) -> None:
    drawn = figure(report)
    whole = drawn.data[0]
    assert list(whole.x) == [row.whole.tau for row in (*report.rows[:2], report.ceiling)]
    assert whole.x[0] + whole.error_x.array[0] == pytest.approx(report.rows[0].whole.tau_high)
    assert whole.x[0] - whole.error_x.arrayminus[0] == pytest.approx(report.rows[0].whole.tau_low)
    assert drawn.layout.yaxis.ticktext[1] == "params &lt;b&gt; (n = 60, top 6)" and len(drawn.layout.shapes) == 2


def test_files(report: RankingReport, tmp_path: Path) -> None:
    for ending in (".json", ".txt", ".html"):
        assert write_ranking(report, tmp_path / "deep" / f"r{ending}").stat().st_size > 300
    assert RankingReport.from_json(json.loads((tmp_path / "deep" / "r.json").read_text())) == report
    assert "cdn.plot.ly" not in (tmp_path / "deep" / "r.html").read_text().split("plotly.js v")[0]
    with pytest.raises(WrongUse, match="end it in"):
        write_ranking(report, tmp_path / "r.xlsx")


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="a picture needs chromium")
def test_a_picture(report: RankingReport, tmp_path: Path) -> None:
    pytest.importorskip("kaleido")
    assert write_ranking(report, tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")

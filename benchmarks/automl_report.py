"""Tables and a plot of what `benchmarks.automl` measured, written into a Markdown page between two markers."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import plotly.graph_objects as go
import plotly.io
from plotly.colors import qualitative
from plotly.subplots import make_subplots

from archfront.report.report import write_picture
from benchmarks.automl_standings import Record, Standing, limits, ratio, spread, standing

BEGIN, END = "<!-- automl: begin -->", "<!-- automl: end -->"
PAGE = f"""\
# Compared by CPU-seconds

Written by `python -m benchmarks.automl`; its modules say what is counted and how. Test accuracy (mean ± standard
deviation over seeds) of each contender's network within three latency limits, which the engineer's networks set, and
the hypervolume of its front.

{BEGIN}
{END}
"""
OURS = "archfront"
ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 240.0
"""Drawing may take so long."""
COLOURS = qualitative.D3


def standings(records: Sequence[Record], latency: Mapping[str, float]) -> dict[str, tuple[float, list[Standing]]]:
    """Of each set its three limits and its runs' standings; sets on which nothing was measured are left out."""
    found = {}
    for name in dict.fromkeys(record["set"] for record in records):
        own = [record for record in records if record["set"] == name]
        within = limits(own, latency)
        if within is not None:
            found[name] = (within, [standing(record, latency, within) for record in own])
    return found


def tables(found: Mapping[str, tuple[tuple[float, ...], list[Standing]]], notes: Sequence[str] = ()) -> str:
    """A table for each set and budget."""
    parts = []
    for name, (within, runs) in found.items():
        for minutes in sorted({run.minutes for run in runs}):
            here = [run for run in runs if run.minutes == minutes]
            parts.append(f"## {name}, {minutes:g} CPU-minutes\n\n{_table(here, within)}")
    return "\n\n".join([*parts, *(f"- {note}" for note in notes)])


def _table(runs: Sequence[Standing], within: Sequence[float]) -> str:
    heads = [f"≤ {limit:.3g} ms" for limit in within]
    ours = [run for run in runs if run.contender == OURS]
    lines = [
        f"| contender | seeds | CPU-minutes | {' | '.join(heads)} | hypervolume | {OURS} ÷ this |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for contender in dict.fromkeys(run.contender for run in runs):
        own = [run for run in runs if run.contender == contender]
        over = ratio(ours, own)
        cells = [
            contender,
            str(len(own)),
            spread([run.cpu_minutes for run in own], 1),
            *(spread([run.accuracies[i] for run in own], 3) for i in range(len(within))),
            spread([run.hypervolume for run in own], 3),
            "-" if over is None else f"{over:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(found: Mapping[str, tuple[tuple[float, ...], list[Standing]]], to: Path) -> Path:
    """All fronts, a panel for each set and budget, as a picture; where none can be drawn, as a page."""
    panels = [(name, minutes) for name, (_, runs) in found.items() for minutes in sorted({r.minutes for r in runs})]
    rows = (len(panels) + 1) // 2
    titles = [f"{name}, {minutes:g} CPU-minutes" for name, minutes in panels]
    figure = make_subplots(rows, 2, subplot_titles=titles, horizontal_spacing=0.09, vertical_spacing=0.3 / max(2, rows))
    names = list(dict.fromkeys(run.contender for _, runs in found.values() for run in runs))
    shown: set[str] = set()
    for place, (name, minutes) in enumerate(panels):
        for run in (run for run in found[name][1] if run.minutes == minutes):
            figure.add_trace(_line(run, names.index(run.contender), run.contender not in shown), *_cell(place))
            shown.add(run.contender)
        figure.update_xaxes(type="log", title="latency, ms", row=_cell(place)[0], col=_cell(place)[1])
        figure.update_yaxes(title="test accuracy", row=_cell(place)[0], col=_cell(place)[1])
    figure.update_layout(template="plotly_white", legend={"orientation": "h", "y": 1 + 0.2 / rows})
    picture = to.with_suffix(".png")
    if drawn(figure, picture, 120 + 330 * rows):
        return picture
    figure.write_html(str(to.with_suffix(".html")), include_plotlyjs="cdn")
    return to.with_suffix(".html")


def drawn(figure: go.Figure, picture: Path, height: int) -> bool:
    """Draw a picture in a process of its own; whether it could be drawn.

    Drawing takes a browser, which may be missing, and on a busy host was seen to hang for ten minutes.
    """
    with TemporaryDirectory(prefix="archfront-") as name:
        kept, made = Path(name, "figure.json"), Path(name, "figure.png")
        figure.write_json(kept)
        words = [sys.executable, "-m", "benchmarks.automl_report", str(kept), str(made), str(height)]
        with subprocess.Popen(words, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + PATIENCE_S
            while process.poll() is None and not made.exists() and time.monotonic() < deadline:
                time.sleep(0.2)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if made.exists():
            shutil.copyfile(made, picture)
        return made.exists()


def _cell(place: int) -> tuple[int, int]:
    return place // 2 + 1, place % 2 + 1


def _line(run: Standing, colour: int, legend: bool) -> go.Scatter:
    return go.Scatter(
        x=[one.latency_ms for one in run.front],
        y=[one.test for one in run.front],
        mode="lines+markers",
        line={"color": COLOURS[colour % len(COLOURS)], "shape": "hv"},
        name=run.contender,
        legendgroup=run.contender,
        showlegend=legend,
    )


def write_page(page: Path, text: str, picture: Path) -> None:
    """Put tables and picture between the page's markers; a page that isn't there, or has none, is begun anew."""
    known = page.read_text("utf-8") if page.is_file() else ""
    if BEGIN not in known or END not in known:
        known = PAGE
    before, _, rest = known.partition(BEGIN)
    shown = f"![Fronts]({picture.name})" if picture.suffix == ".png" else f"[Fronts]({picture.name})"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{shown}\n\n{END}{rest.partition(END)[2]}", "utf-8")


def main() -> None:
    """Draw the figure of a JSON file: FIGURE.json PICTURE.png HEIGHT."""
    kept, made, height = sys.argv[1:]
    whole = Path(made).with_suffix(".part.png")
    write_picture(plotly.io.read_json(kept), whole, 1000, int(height))
    whole.rename(made)


if __name__ == "__main__":
    main()

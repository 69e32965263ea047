"""The figure of a contest: medians as lines, quartiles as bands."""

from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from archfront.contracts import WrongUse
from archfront.report.figures import styled
from archfront.simulator.contest import Contest, Standing

COLORS = ("#2360d8", "#c9532f", "#1a8a5a", "#8a4fc4", "#b58900", "#c2347a", "#2aa1b3", "#6b7280")
"""Told apart also by those who see no red or green; further contenders are dashed."""
KINDS = (".html", ".png", ".svg")


def contest_figure(contest: Contest, theme: str = "light") -> go.Figure:
    """Hypervolume ratio or regret over evaluations, or over virtual seconds."""
    figure = go.Figure()
    for number, standing in enumerate(contest.standings):
        _add(figure, contest, standing, COLORS[number % len(COLORS)], "dash" if number >= len(COLORS) else "solid")
    regret = contest.benchmark.measure == "regret"
    if regret:
        title = f"regret in {escape(contest.benchmark.objectives[0].metric)} ↓"
    else:
        title = "share of the true hypervolume ↑"
    figure.update_xaxes(title={"text": "virtual seconds" if contest.timed else "evaluations"})
    figure.update_yaxes(title={"text": title}, rangemode="tozero" if regret else "normal")
    if not regret:
        column = len(contest.axis) // 20 if contest.timed else _column(contest, 10)
        starts = [standing.quartiles()[0][column] for standing in contest.standings]
        figure.update_yaxes(range=[max(0.0, float(min(starts))), 1.005])
    return styled(figure, theme).update_layout(width=900, height=520, margin={"t": 70})


def write_figure(contest: Contest, file: Path) -> None:
    """The figure as a self-contained HTML file, a PNG or an SVG, by the file's ending."""
    if file.suffix == ".html":
        contest_figure(contest).write_html(file, include_plotlyjs=True)
        return
    try:
        # Pictures are looked at on any ground, so they bring a white one.
        contest_figure(contest).update_layout(paper_bgcolor="white").write_image(file, scale=2)
    except (ImportError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise WrongUse(f"{file} can't be drawn here ({reason}); say --to {file.with_suffix('.html')}") from None


def _add(figure: go.Figure, contest: Contest, standing: Standing, color: str, dash: str) -> None:
    low, middle, high = (np.where(np.isfinite(row), row, np.nan) for row in standing.quartiles())
    known = np.isfinite(high)
    x = np.array(contest.axis)[known]
    band: dict[str, Any] = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    group = {"legendgroup": standing.contender.label}
    figure.add_trace(go.Scatter(x=x, y=high[known], **band, **group))
    fill = {"fill": "tonexty", "fillcolor": f"rgba({','.join(str(int(color[i : i + 2], 16)) for i in (1, 3, 5))},0.13)"}
    figure.add_trace(go.Scatter(x=x, y=low[known], **band, **group, **fill))
    name = escape(standing.contender.label)
    line = {"color": color, "width": 2, "dash": dash}
    figure.add_trace(go.Scatter(x=contest.axis, y=middle, mode="lines", name=name, line=line, **group))


def _column(contest: Contest, count: int) -> int:
    return next((i for i, known in enumerate(contest.axis) if known >= count), len(contest.axis) - 1)

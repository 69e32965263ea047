"""The Plotly figures that dashboard and report share."""

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from archfront.contracts import Objective, meaning
from archfront.report.results import Cloud, History, Results, robust_range, sample

GL_FROM = 1_000
"""From so many points on they are drawn by WebGL; below, SVG looks better and needs no graphics driver."""

SHOWN = 5_000
"""At most so many points of a cloud are drawn; the front always whole."""


@dataclass(frozen=True)
class Theme:
    """The colours of a figure."""

    text: str
    grid: str
    point: str
    front: str
    bad: str
    chosen: str


THEMES = {
    "light": Theme("#3b4252", "#e3e7ee", "#8fa3bf", "#2360d8", "#c9532f", "#111827"),
    "dark": Theme("#c9d1de", "#2d3542", "#5d7291", "#6ea0ff", "#ef8a63", "#ffffff"),
}


@dataclass(frozen=True)
class View:
    """What of a front a reader wants to see."""

    clip: bool = True
    log_x: bool = False
    log_y: bool = False
    theme: str = "light"
    selected: str | None = None
    shown: int = SHOWN


def axis_title(objective: Objective) -> str:
    """The metric, its unit, and which way is better."""
    unit = (meaning(objective.metric) or ("", "", ""))[1]
    unit = f" ({unit})" if unit not in ("", "fraction") else ""
    return f"{escape(objective.metric)}{unit} {'↑' if objective.direction == 'max' else '↓'}"


def front_figure(results: Results, cloud: Cloud, x: Objective, y: Objective, view: View) -> tuple[go.Figure, str]:
    """The front among all candidates, and one line about what isn't to be seen in it."""
    theme = THEMES[view.theme]
    rest = np.setdiff1d(cloud.points, cloud.front, assume_unique=True)
    points = sample(rest, results.numbers, view.shown)
    violating = sample(cloud.violating, results.numbers, view.shown // 5)
    figure = go.Figure()
    _add(
        figure,
        results,
        violating,
        x,
        y,
        "breaks a constraint",
        {"symbol": "x-thin", "size": 6, "opacity": 0.6},
        theme.bad,
    )
    _add(figure, results, points, x, y, "candidates", {"size": 7, "opacity": 0.55}, theme.point)
    _add_front(figure, results, cloud.front, x, y, theme)
    chosen = np.array([i for i in cloud_rows(cloud) if results.digests[i] == view.selected], dtype=int)[:1]
    _add(
        figure,
        results,
        chosen,
        x,
        y,
        "selected",
        {"symbol": "circle-open", "size": 17, "line": {"width": 2.5}},
        theme.chosen,
    )
    outside = _axes(figure, results, cloud, x, y, view)
    shown = len(points) + len(cloud.front)
    notes = []
    if shown < len(cloud.points):
        notes.append(f"showing {shown:,} of {len(cloud.points):,} candidates, all of the front")
    if len(violating) < len(cloud.violating):
        notes.append(f"{len(violating):,} of {len(cloud.violating):,} that break a constraint")
    if outside:
        notes.append(f"{outside:,} beyond the axes")
    return styled(figure, view.theme), " · ".join(notes)


def cloud_rows(cloud: Cloud) -> np.ndarray:
    """Every row that may be drawn."""
    return np.concatenate([cloud.points, cloud.violating])


def _add(
    figure: go.Figure,
    results: Results,
    at: np.ndarray,
    x: Objective,
    y: Objective,
    name: str,
    marker: dict[str, Any],
    color: str,
) -> None:
    if name == "breaks a constraint":
        marker = {**marker, "line": {"width": 1.5, "color": color}}
    trace = go.Scattergl if len(at) > GL_FROM else go.Scatter
    figure.add_trace(
        trace(
            x=results.values[x.metric][at],
            y=results.values[y.metric][at],
            mode="markers",
            name=name,
            customdata=results.numbers[at].tolist(),  # Dash finds no clicked number in a packed array
            marker={"color": color, **marker},
            hovertemplate=_hover(x, y),
            showlegend=bool(len(at)),
        )
    )


def _add_front(figure: go.Figure, results: Results, at: np.ndarray, x: Objective, y: Objective, theme: Theme) -> None:
    predicted = results.predicted[x.metric][at] | results.predicted[y.metric][at]
    figure.add_trace(
        go.Scatter(
            x=results.values[x.metric][at],
            y=results.values[y.metric][at],
            mode="lines+markers",
            name="front (open: predicted)" if predicted.any() else "front",
            customdata=results.numbers[at].tolist(),  # Dash finds no clicked number in a packed array
            line={"color": theme.front, "width": 1.5, "shape": "hv" if x.direction == "min" else "vh"},
            marker={
                "color": theme.front,
                "size": 10,
                "symbol": np.where(predicted, "circle-open", "circle").tolist(),
                "line": {"width": 2, "color": theme.front},
            },
            error_x=_bars(results, x.metric, at, theme),
            error_y=_bars(results, y.metric, at, theme),
            hovertemplate=_hover(x, y),
        )
    )


def _bars(results: Results, metric: str, at: np.ndarray, theme: Theme) -> dict[str, Any] | None:
    value, low, high = (column[metric][at] for column in (results.values, results.lows, results.highs))
    if not np.isfinite(low).any():
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": np.nan_to_num(np.maximum(high - value, 0)),
        "arrayminus": np.nan_to_num(np.maximum(value - low, 0)),
        "color": theme.front,
        "thickness": 1,
        "width": 3,
    }


def _hover(x: Objective, y: Objective) -> str:
    return (
        f"<b>candidate %{{customdata}}</b><br>{escape(x.metric)} %{{x:,.4~g}}"
        f"<br>{escape(y.metric)} %{{y:,.4~g}}<extra>%{{fullData.name}}</extra>"
    )


def _axes(figure: go.Figure, results: Results, cloud: Cloud, x: Objective, y: Objective, view: View) -> int:
    """Set titles, scales and ranges; gives how many points lie outside the ranges."""
    rows = cloud.points if len(cloud.points) else cloud.violating
    outside = np.zeros(len(rows), dtype=bool)
    for axis, objective, log in (("xaxis", x, view.log_x), ("yaxis", y, view.log_y)):
        values = results.values[objective.metric][rows]
        if log:
            values = np.log10(np.where(values > 0, values, np.nan))
        settings: dict[str, Any] = {"title": {"text": axis_title(objective)}, "type": "log" if log else "linear"}
        bounds = robust_range(values) if view.clip else None
        if bounds:
            settings["range"] = list(bounds)
            outside |= (values < bounds[0]) | (values > bounds[1])
        figure.update_layout({axis: settings})
    return int(outside.sum())


def history_figure(history: History, objectives: tuple[Objective, ...], over: str, theme: str) -> go.Figure:
    """Hypervolume and the best of each objective, over `evaluations` or `minutes`, one above the other."""
    from plotly.subplots import make_subplots

    names = ["hypervolume (of the last)"] + [f"best {escape(o.metric)}" for o in objectives]
    figure = make_subplots(rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=0.06)
    at = history.evaluations if over == "evaluations" else history.minutes
    colors = THEMES[theme]
    for row, (name, values) in enumerate(zip(names, [history.hypervolume, *history.best.values()], strict=True), 1):
        color = colors.front if row == 1 else colors.point
        line = {"color": color, "width": 2, "shape": "hv"}
        figure.add_trace(go.Scatter(x=at, y=values, mode="lines", name=name, line=line, showlegend=False), row, 1)
        figure.update_yaxes(title={"text": name, "font": {"size": 11}}, row=row, col=1)
    title = "evaluations" if over == "evaluations" else "minutes since the study began"
    figure.update_xaxes(title={"text": title}, row=len(names), col=1)
    return styled(figure, theme)


def styled(figure: go.Figure, theme: str) -> go.Figure:
    """The figure in the colours of a theme, on whatever lies behind it."""
    colors = THEMES[theme]
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "size": 13, "color": colors.text},
        margin={"l": 70, "r": 20, "t": 30, "b": 55},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "bgcolor": "rgba(0,0,0,0)"},
        hoverlabel={"align": "left"},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": colors.point, "activecolor": colors.front},
    )
    figure.update_xaxes(gridcolor=colors.grid, linecolor=colors.grid, zeroline=False, title_standoff=10)
    figure.update_yaxes(gridcolor=colors.grid, linecolor=colors.grid, zeroline=False, title_standoff=10)
    return figure

"""What the pages are made of: their frame, the list of studies, and one study."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import dash_ag_grid
from dash import dcc, html

from archfront.report import texts
from archfront.report.results import axes_of
from archfront.study import Study
from dashboard.responses import StudySummary

POLL_MS = 2_000
"""How often an open page asks whether something changed."""

GRAPH = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


def study_path(name: str, candidate: int | None = None) -> str:
    """The address of a study's page, or of a candidate on it."""
    path = f"/study/{quote(name, safe='')}"
    return path if candidate is None else f"{path}/candidate/{candidate}"


def frame() -> html.Div:
    """What surrounds every page; the address decides what is in it."""
    return html.Div(
        [
            dcc.Location(id="address", refresh=False),
            dcc.Store(id="theme", data="light"),
            dcc.Store(id="open-study"),
            html.Header([dcc.Link([html.B("Archfront"), html.Span("studies")], href="/", className="brand")]),
            html.Main(id="page"),
        ]
    )


def missing(line: str) -> html.Div:
    """The page for an address that leads nowhere."""
    return html.Div(
        [html.H1("Not here"), html.P(line, className="soft"), dcc.Link("All studies", href="/")], className="card"
    )


def studies() -> html.Div:
    """The list of studies; its rows come with the first poll."""
    return html.Div(
        [
            dcc.Interval(id="studies-poll", interval=2 * POLL_MS),
            html.H1("Studies"),
            html.Div(id="studies-table", className="card"),
        ]
    )


def studies_table(found: Sequence[StudySummary]) -> Any:
    """One row for each study."""
    if not found:
        return html.P("This database holds no study yet; start one with: archfront search", className="soft")
    head = ["study", "state", "evaluations", "failed", "best", "space", "last change"]
    rows = []
    for study in found:
        best = " · ".join(f"{name} {texts.number(value)}" for name, value in study.best.items())
        bad = study.evaluations - sum(study.counts.get(status, 0) for status in ("ok", "running", "stopped"))
        cells = [
            dcc.Link(study.name, href=study_path(study.name)),
            state(study.running),
            f"{study.evaluations:,}",
            f"{bad:,}",
            best or "–",
            study.space,
            html.Span(texts.ago(study.last_change), title=texts.moment(study.last_change)),
        ]
        rows.append(html.Tr([html.Td(cell) for cell in cells]))
    return html.Table([html.Thead(html.Tr([html.Th(text) for text in head])), html.Tbody(rows)])


def state(running: bool) -> html.Span:
    """Whether a search is at work."""
    return html.Span("running" if running else "idle", className="pill running" if running else "pill")


def study(found: Study) -> html.Div:
    """The page of one study. Everything that changes is filled in by callbacks."""
    return html.Div(
        [
            dcc.Store(id="study", data=found.name),
            dcc.Store(id="version"),
            dcc.Interval(id="poll", interval=POLL_MS),
            html.Div([html.H1(found.name), html.Span(id="state")], className="title"),
            html.P(_goals(found), className="soft"),
            *([html.Ul([html.Li(line) for line in found.data_found], id="found")] if found.data_found else []),
            html.Div(id="tiles", className="tiles"),
            html.Div(
                [
                    html.Div([_controls(found), _front()], className="card wide"),
                    html.Div(id="candidate", className="card side"),
                ],
                className="split",
            ),
            html.Div(
                [html.Div(_grid(), className="card wide"), html.Div(_failures(), className="card side")],
                className="split",
            ),
            html.Div(_history(), className="card"),
            html.Details([html.Summary("Settings"), _settings(found)], className="card"),
        ]
    )


def _goals(found: Study) -> str:
    goals = [*map(str, found.objectives), *map(str, found.constraints)]
    return f"{' · '.join(goals)} · space {found.space} · seed {found.seed} · begun {texts.moment(found.created_at)}"


def _controls(found: Study) -> html.Div:
    x, y = axes_of(found)
    names = list(dict.fromkeys([x.metric, y.metric, *found.metric_names()]))
    options = [
        {"label": "clip outliers", "value": "clip"},
        {"label": "log x", "value": "x"},
        {"label": "log y", "value": "y"},
    ]
    return html.Div(
        [
            html.Label(["across", dcc.Dropdown(names, x.metric, id="x", clearable=False, searchable=len(names) > 8)]),
            html.Label(["up", dcc.Dropdown(names, y.metric, id="y", clearable=False, searchable=len(names) > 8)]),
            dcc.Checklist(options, ["clip"], id="view", inline=True, className="choices"),
        ],
        className="controls",
    )


def _front() -> html.Div:
    return html.Div(
        [dcc.Graph(id="front", config=GRAPH, className="front"), html.P(id="front-note", className="soft note")]
    )


def _grid() -> list[Any]:
    choices = [{"label": "the front", "value": "front"}, {"label": "the newest 1,000 evaluations", "value": "newest"}]
    grid = dash_ag_grid.AgGrid(
        id="grid",
        columnDefs=[],
        rowData=[],
        getRowId="params.data.id",
        defaultColDef={"sortable": True, "wrapHeaderText": True, "autoHeaderHeight": True, "minWidth": 90, "flex": 1},
        dashGridOptions={"animateRows": False, "rowHeight": 32},
        className="grid",
    )
    head = [html.H2("Candidates"), dcc.RadioItems(choices, "front", id="which", inline=True, className="choices")]
    return [html.Div(head, className="controls"), grid]


def _failures() -> list[Any]:
    return [html.H2("What did not end well"), html.Div(id="failures")]


def _history() -> list[Any]:
    choices = [{"label": "over evaluations", "value": "evaluations"}, {"label": "over time", "value": "minutes"}]
    head = [html.H2("How it grew"), dcc.RadioItems(choices, "evaluations", id="over", inline=True, className="choices")]
    return [html.Div(head, className="controls"), dcc.Graph(id="history", config=GRAPH)]


def _settings(found: Study) -> html.Table:
    fixed = [("space fingerprint", found.fingerprint), ("database", found.database.url)]
    return pairs([*texts.lines(found.settings), *fixed])


def pairs(rows: Sequence[tuple[str, Any]]) -> html.Table:
    """A table of names and values."""
    return html.Table(html.Tbody([html.Tr([html.Th(name), html.Td(value)]) for name, value in rows]), className="pairs")


def tiles(found: StudySummary, on_front: int) -> list[html.Div]:
    """The study's figures at a glance."""
    counts = found.counts
    shown = [
        (f"{found.evaluations:,}", "evaluation" if found.evaluations == 1 else "evaluations"),
        (f"{counts.get('ok', 0):,}", "finished well"),
        (f"{counts.get('running', 0):,}", "under way"),
        (f"{on_front:,}", "on the front"),
        *([(f"{counts['stopped']:,}", "stopped half way")] if "stopped" in counts else []),
        *((texts.number(value), f"best {name}") for name, value in found.best.items()),
        (texts.ago(found.last_change), "last change"),
    ]
    return [html.Div([html.B(value), html.Span(name)], className="tile") for value, name in shown]


def failures_table(found: Sequence[tuple[str, str, int]]) -> Any:
    """What failed, alike reasons together."""
    if not found:
        return html.P("Every evaluation ended well.", className="soft")
    rows = [
        html.Tr(
            [html.Td(f"{count:,}", className="number"), html.Td([html.B(status.replace("_", " ")), html.Br(), reason])]
        )
        for status, reason, count in found[:30]
    ]
    return html.Table(html.Tbody(rows))

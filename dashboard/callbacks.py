"""What the pages do: where an address leads, what a poll brings, what a click opens."""

import functools
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import unquote

from dash import ClientsideFunction, Dash, Input, Output, State, ctx, no_update
from dash.exceptions import PreventUpdate
from fastapi.concurrency import run_in_threadpool

from archfront.contracts import WrongUse
from archfront.report.figures import View, front_figure, history_figure
from archfront.report.results import direction_of
from archfront.study import Study
from dashboard import candidate, pages, tables
from dashboard.api import summary
from dashboard.library import Library


def register(app: Dash, library: Library) -> None:
    """Connect the pages with the database."""
    _navigation(app, library)
    _polling(app, library)
    _pictures(app, library)
    _candidates(app, library)


def threaded(function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """The callback run in a worker thread: on the event loop, its query would hold up every other request."""

    @functools.wraps(function)
    async def run(*inputs: Any) -> Any:
        return await run_in_threadpool(function, *inputs)

    return run


def read_address(path: str | None) -> tuple[str | None, str | None]:
    """The study and the candidate that an address names; raises `WrongUse` where it leads nowhere."""
    pieces = [unquote(piece) for piece in (path or "/").split("/") if piece]
    if not pieces:
        return None, None
    if len(pieces) == 2 and pieces[0] == "study":
        return pieces[1], None
    if len(pieces) == 4 and pieces[0] == "study" and pieces[2] == "candidate":
        return pieces[1], pieces[3]
    raise WrongUse(f"nothing is at {path}")


def _navigation(app: Dash, library: Library) -> None:
    app.clientside_callback(ClientsideFunction("archfront", "theme"), Output("theme", "data"), Input("address", "id"))

    @app.callback(
        Output("page", "children"),
        Output("open-study", "data"),
        Input("address", "pathname"),
        State("open-study", "data"),
    )
    @threaded
    def show(path: str | None, already: str | None) -> Any:
        try:
            name, _ = read_address(path)
            if name is None:
                return pages.studies(), None
            if name == already:
                raise PreventUpdate  # only the candidate changes; the page keeps its zoom and choices
            return pages.study(library.study(name)), name
        except WrongUse as error:
            return pages.missing(str(error)), None

    @app.callback(Output("studies-table", "children"), Input("studies-poll", "n_intervals"))
    @threaded
    def list_studies(_: int | None) -> Any:
        return pages.studies_table([summary(library, study) for study in library.studies()])


def _polling(app: Dash, library: Library) -> None:
    @app.callback(
        Output("version", "data"), Input("poll", "n_intervals"), State("study", "data"), State("version", "data")
    )
    @threaded
    def poll(_: int | None, name: str, seen: Any) -> Any:
        study = library.study(name)
        now = [study.id, *study.progress(), study.running()]
        return no_update if now == seen else now

    @app.callback(
        Output("state", "children"),
        Output("tiles", "children"),
        Output("failures", "children"),
        Input("version", "data"),
        State("study", "data"),
    )
    @threaded
    def tell(_: Any, name: str) -> Any:
        study = library.study(name)
        found, results = summary(library, study), library.shown(study)
        on_front = len(results.cloud(study.objectives).front)
        return pages.state(found.running), pages.tiles(found, on_front), pages.failures_table(results.failures())


def _keep_zoom(figure: Any, zoom: dict[str, Any]) -> None:
    """Give the axes the ranges that the reader chose: Plotly drops a zoom where a refresh brings another range."""
    for axis in ("xaxis", "yaxis"):
        low, high = zoom.get(f"{axis}.range[0]"), zoom.get(f"{axis}.range[1]")
        if low is not None and high is not None:
            figure.update_layout({axis: {"range": [low, high], "autorange": False}})


def _pictures(app: Dash, library: Library) -> None:
    @app.callback(
        Output("front", "figure"),
        Output("front-note", "children"),
        Input("version", "data"),
        Input("x", "value"),
        Input("y", "value"),
        Input("view", "value"),
        Input("theme", "data"),
        Input("address", "pathname"),
        State("study", "data"),
        State("front", "relayoutData"),
    )
    @threaded
    def draw(
        _: Any, x: str, y: str, view: list[str], theme: str, path: str, name: str, zoom: dict[str, Any] | None
    ) -> Any:
        study = library.study(name)
        across, up = direction_of(x, study), direction_of(y, study)
        results = library.results(study, [x, y])
        wanted = View("clip" in view, "x" in view, "y" in view, theme, _selected(study, path))
        figure, note = front_figure(results, results.cloud((across, up)), across, up, wanted)
        # While this stays the same, a refresh keeps the reader's zoom.
        figure.update_layout(uirevision=f"{name}|{x}|{y}|{sorted(view)}", height=520)
        if ctx.triggered_id == "version":
            _keep_zoom(figure, zoom or {})
        return figure, note

    @app.callback(
        Output("history", "figure"),
        Input("version", "data"),
        Input("over", "value"),
        Input("theme", "data"),
        State("study", "data"),
    )
    @threaded
    def grow(_: Any, over: str, theme: str, name: str) -> Any:
        study = library.study(name)
        figure = history_figure(library.shown(study).history(), study.objectives, over, theme)
        figure.update_layout(uirevision=f"{name}|{over}", height=120 + 130 * (1 + len(study.objectives)))
        return figure


def _selected(study: Study, path: str) -> str | None:
    try:
        name, chosen = read_address(path)
        return study.candidate(chosen).digest if chosen and name == study.name else None
    except WrongUse:
        return None


def _candidates(app: Dash, library: Library) -> None:
    @app.callback(
        Output("grid", "columnDefs"),
        Output("grid", "rowData"),
        Input("version", "data"),
        Input("which", "value"),
        State("study", "data"),
    )
    @threaded
    def fill(_: Any, which: str, name: str) -> Any:
        study = library.study(name)
        return tables.front(library, study) if which == "front" else tables.newest(study)

    @app.callback(
        Output("address", "pathname"),
        Input("front", "clickData"),
        Input("grid", "cellClicked"),
        State("study", "data"),
        prevent_initial_call=True,
    )
    @threaded
    def open_candidate(click: Any, cell: Any, name: str) -> Any:
        number = (
            cell and cell["rowId"] if ctx.triggered_id == "grid" else click and click["points"][0].get("customdata")
        )
        if number is None:
            raise PreventUpdate
        return pages.study_path(name, int(number))

    @app.callback(Output("candidate", "children"), Input("address", "pathname"), Input("study", "data"))
    @threaded
    def show_candidate(path: str, name: str) -> Any:
        try:
            study_name, chosen = read_address(path)
            if chosen is None or study_name != name:
                return candidate.hint()
            study = library.study(name)
            return candidate.panel(study, study.candidate(chosen))
        except WrongUse as error:
            return [*candidate.hint(), pages.html.P(str(error), className="warning")]

    app.clientside_callback(
        ClientsideFunction("archfront", "download"),
        Output("export-state", "children"),
        Input("export", "n_clicks"),
        State("export", "data-address"),
        prevent_initial_call=True,
    )

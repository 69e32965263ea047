"""How commands print: JSON for programs, tables and short figures for people."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from archfront.contracts import Objective
    from archfront.study.front import Point

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
StudyName = Annotated[str, typer.Argument(help="The study's name; 'archfront studies' lists them.", metavar="STUDY")]
DatabaseUrl = Annotated[
    str | None, typer.Option("--db", help="The study database: a URL or a SQLite file.", metavar="URL")
]


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, indent=2, default=str))


def print_rows(rows: Sequence[Mapping[str, Any]], as_json: bool, empty: str = "nothing") -> None:
    """The rows, all with the same keys, as JSON or as a table with the keys as its heads."""
    if as_json:
        print_json(list(rows))
    elif not rows:
        typer.echo(empty)
    else:
        print_table(table_of(list(rows[0]), [[figure(value) for value in row.values()] for row in rows]))


def table_of(heads: Iterable[str], rows: Iterable[Sequence[str]], title: str | None = None) -> "Table":
    """A table without frames; text wraps at the last column."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, title=title, title_justify="left", pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def print_table(table: "Table") -> None:
    """The table on standard output; through a pipe its lines are as long as they need to be."""
    console().print(table)


def console() -> "Console":
    """Standard output as rich knows it: as wide as the terminal, or as `COLUMNS` says; 200 columns through a pipe."""
    from rich.console import Console

    given = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if given else 200, highlight=False)


def fitting_front(
    front: Sequence["Point"], objectives: Sequence["Objective"], further: Sequence[str] = ()
) -> tuple["Table", list[str]]:
    """A front as a table that is no wider than standard output, and the metrics that it has no room for.

    First the candidate's number and digest, its objectives, then further metrics that it has. A figure that was
    predicted, not measured, begins with `~`; objectives whose 95 % interval is known show it. Where room is scarce,
    further metrics go first, from the last on, then the digest, then the intervals.
    """
    from rich.measure import Measurement

    out = console()
    goals = list(dict.fromkeys(objective.metric for objective in objectives))
    names = [name for name in further if name not in goals and any(name in point.values for point in front)]
    for shown, digest, bounded in [*((n, True, True) for n in range(len(names), -1, -1)), (0, False, True)]:
        table = _front_table(front, goals, names[:shown], digest, bounded)
        if Measurement.get(out, out.options.update(max_width=10_000), table).maximum <= out.width:
            return table, names[shown:]
    return _front_table(front, goals, [], False, False), names


def _front_table(
    front: Sequence["Point"], goals: Sequence[str], names: Sequence[str], digest: bool, bounded: bool
) -> "Table":
    rows = [
        [
            str(point.number),
            *([point.digest[:8]] if digest else []),
            *(_cell(point, name, bounded) for name in goals),
            *(_cell(point, name, False) for name in names),
        ]
        for point in front
    ]
    return table_of(["candidate", *(["digest"] if digest else []), *goals, *names], rows)


def _cell(point: "Point", name: str, bounded: bool) -> str:
    text = "~" * (name in point.predicted) + figure(point.values.get(name))
    if not bounded or name not in point.bounds:
        return text
    low, high = point.bounds[name]
    return f"{text} [{low:.3g}, {high:.3g}]"


def point_json(point: "Point") -> dict[str, Any]:
    """A point of a front as JSON values."""
    predicted = {"predicted": sorted(point.predicted)} if point.predicted else {}
    intervals = {"intervals": {name: list(pair) for name, pair in point.bounds.items()}} if point.bounds else {}
    return {"candidate": point.number, "digest": point.digest, "metrics": point.values, **intervals, **predicted}


def figure(value: Any) -> str:
    """A figure for people: four digits for fractions, thousands apart for integers, `-` for what there isn't."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if isinstance(value, int) or abs(value) >= 1e15:
        return f"{value:.3e}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """`75` as `1:15`, `3700` as `1:01:40`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

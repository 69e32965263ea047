"""The rows and columns of the table of candidates."""

from typing import Any

from archfront.study import Study
from dashboard.library import Library

NEWEST = 1_000
"""So many of the newest evaluations can be listed."""

_NUMBER = {
    "function": "params.value == null ? '–' : d3.format(Math.abs(params.value) >= 1e4 ? ',.0f' : '.4~g')(params.value)"
}


def front(library: Library, study: Study) -> tuple[list[Any], list[Any]]:
    """The study's front, over all of its objectives."""
    results = library.shown(study)
    rows = []
    for at in results.cloud(study.objectives).front:
        values = {f"m{i}": _finite(results.values[name][at]) for i, name in enumerate(results.metrics)}
        predicted = [name for name in results.metrics if results.predicted[name][at]]
        rows.append(
            {
                "id": str(results.numbers[at]),
                "number": int(results.numbers[at]),
                **values,
                "origin": results.origins[at],
                "predicted": ", ".join(predicted),
            }
        )
    columns = [_column("number", "candidate"), *_metrics(results.metrics), _column("origin", "origin")]
    if any(row["predicted"] for row in rows):
        columns.append(_column("predicted", "predicted, not measured"))
    return columns, rows


def newest(study: Study) -> tuple[list[Any], list[Any]]:
    """The newest evaluations, whatever became of them."""
    found = study.rows(since=max(0, study.progress()[0] + 1 - NEWEST))
    names = [name for name in study.metric_names() if any(name in row.values for row in found)]
    rows = []
    for row in reversed(found):
        values = {f"m{i}": _finite(row.values.get(name)) for i, name in enumerate(names)}
        rows.append(
            {
                "id": str(row.number),
                "number": row.number,
                "status": row.status,
                "reason": row.reason,
                **values,
                "origin": row.origin,
            }
        )
    columns = [_column("number", "candidate"), {**_column("status", "outcome"), "filter": True}, *_metrics(names)]
    return [
        *columns,
        _column("origin", "origin"),
        {**_column("reason", "reason"), "minWidth": 200, "filter": True, "tooltipField": "reason"},
    ], rows


def _metrics(names: Any) -> list[dict[str, Any]]:
    # Fields are numbered, since a dot in a metric's name would be read as a path.
    numeric = {"valueFormatter": _NUMBER, "type": "rightAligned"}
    return [{**_column(f"m{i}", name), **numeric} for i, name in enumerate(names)]


def _column(field: str, title: str) -> dict[str, Any]:
    return {"field": field, "headerName": title}


def _finite(value: Any) -> float | None:
    return None if value is None or value != value or abs(value) == float("inf") else float(value)

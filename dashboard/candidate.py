"""The panel of one candidate: its architecture as graphs and as a tree, its metrics, its parents, its export."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from dash import dcc, html

from archfront.contracts import Metric
from archfront.report import confusion, pictures, texts
from archfront.report.architectures import Branch, branches
from archfront.study import Candidate, Study
from archfront.study.lineage import Ancestor, lineage
from dashboard.api import parents_of
from dashboard.pages import study_path
from dashboard.responses import Parent

CHANGES = 40
"""So many differences to a parent are listed."""


def hint() -> list[Any]:
    """What the panel says before a candidate is chosen."""
    return [html.H2("Candidate"), html.P("Click a point, or a row below, to see its architecture.", className="soft")]


def panel(study: Study, found: Candidate) -> list[Any]:
    """Everything about one candidate."""
    row = found.rows[-1]
    ended = row.status if not row.reason else f"{row.status}: {row.reason}"
    return [
        html.Div(
            [
                html.H2(f"Candidate {found.number}"),
                dcc.Link("✕", href=study_path(study.name), title="close", className="close"),
            ],
            className="title",
        ),
        html.P(
            [html.Code(found.digest[:12], title=found.digest), f" · {row.origin or 'given'} · {ended}"],
            className="soft",
        ),
        _export(study, found),
        html.H3("Metrics"),
        _metrics(found.metrics),
        html.H3("Architecture"),
        *_pictures(found.architecture),
        html.Div(_branch(branches(found.architecture), 0), className="tree", id="architecture"),
        *_confusions(study, found),
        *_lineage(study, parents_of(study, found), lineage(study, found)),
        *_evaluations(found),
        *_artifacts(found),
    ]


def _export(study: Study, found: Candidate) -> html.Div:
    address = f"/api/studies/{quote(study.name, safe='')}/candidates/{found.number}/export"
    return html.Div(
        [
            html.Button("Download export", id="export", className="button", **{"data-address": address}),
            html.Span(id="export-state", className="soft", role="status"),
        ],
        className="controls",
    )


def _metrics(metrics: Sequence[Metric]) -> Any:
    if not metrics:
        return html.P("None were got.", className="soft")
    rows = []
    for metric in metrics:
        how = [line for line in (texts.provenance(metric), texts.percentiles(metric)) if line]
        cells = [
            html.Td(metric.name),
            html.Td(_value(metric), className="number"),
            html.Td(html.Span(metric.kind, className=f"pill {metric.kind}")),
        ]
        rows.append(html.Tr(cells))
        if how:
            rows.append(html.Tr(html.Td([html.Div(line) for line in how], colSpan=3), className="how"))
    return html.Table(html.Tbody(rows), className="metrics")


def _value(metric: Metric) -> list[Any]:
    """The value over its 95 % bounds, since one line would be too wide."""
    value, _, bounds = texts.spread(metric).partition(" [")
    return [value, html.Div(f"[{bounds}", className="bounds", title="95 % interval")] if bounds else [value]


def _pictures(architecture: Any) -> list[Any]:
    """The graphs of the architecture, and what their edges mean."""
    panels = pictures.graphs(architecture)
    figures = []
    for panel in panels:
        source = f"data:image/svg+xml,{quote(pictures.svg(panel, dark=True))}"
        picture = html.Img(src=source, alt="; ".join(panel.rows), className="picture")
        figures.append(html.Figure([html.Figcaption(panel.title), picture]))
    meanings = "; ".join(f"{kind}: {meaning}" for kind, meaning in pictures.kinds(panels))
    return [html.Div(figures, className="pictures"), *([html.P(meanings, className="soft")] if meanings else [])]


def _confusions(study: Study, found: Candidate) -> list[Any]:
    """What it takes for what, where the task has classes."""
    figures = []
    for matrix in confusion.confusions(study, found):
        source = f"data:image/svg+xml,{quote(confusion.svg(matrix, dark=True))}"
        alt = confusion.said(matrix) or f"no mistakes on {matrix.split} data"
        figures.append(html.Figure([html.Figcaption(alt), html.Img(src=source, alt=alt, className="confusion")]))
    return [html.H3("What is taken for what"), html.Div(figures, className="confusions")] if figures else []


def _branch(branch: Branch, depth: int) -> Any:
    line = [html.I(branch.field), " ", html.B(branch.part), " " if branch.part else "", html.Span(branch.settings)]
    if not branch.children:
        return html.Div(line, title=branch.path)
    inner = [_branch(child, depth + 1) for child in branch.children]
    return html.Details([html.Summary(line, title=branch.path), *inner], open=depth < 3)


def _lineage(study: Study, parents: Sequence[Parent], ancestors: Sequence[Ancestor]) -> list[Any]:
    if not parents:
        return []
    pieces: list[Any] = [html.H3("Lineage")]
    if ancestors:
        pieces.append(html.Ol([_ancestor(study, one) for one in ancestors], className="steps"))
    for parent in parents:
        link = dcc.Link(f"candidate {parent.number}", href=study_path(study.name, parent.number))
        count = len(parent.changes)
        pieces.append(html.P(["from ", link, f", {count} change{'s' if count != 1 else ''}"]))
        rows = [html.Tr([html.Td(path), html.Td(f"{a} → {b}")]) for path, a, b in parent.changes[:CHANGES]]
        pieces.append(html.Table(html.Tbody(rows), className="changes"))
        if count > CHANGES:
            pieces.append(html.P(f"… and {count - CHANGES} more", className="soft"))
    return pieces


def _ancestor(study: Study, one: Ancestor) -> Any:
    """A line of how a finished candidate came about."""
    link = dcc.Link(f"candidate {one.number}", href=study_path(study.name, one.number))
    return html.Li([html.Code(one.step), " made ", link] if one.step else ["trained: ", link])


def _evaluations(found: Candidate) -> list[Any]:
    rows = [
        html.Tr(
            [
                html.Td(f"{row.number}"),
                html.Td(f"{row.fidelity} epochs" if row.fidelity else "full"),
                html.Td(row.status),
                html.Td(f"{row.seconds:.1f} s", className="number"),
            ]
        )
        for row in found.rows
    ]
    parts = [
        html.Tr(
            [
                html.Td(""),
                html.Td(part["evaluator"]),
                html.Td(part["status"]),
                html.Td(f"{part['seconds']:.1f} s", className="number"),
            ]
        )
        for part in found.parts
    ]
    return [html.H3("Evaluations"), html.Table(html.Tbody([*rows, *parts]))]


def _artifacts(found: Candidate) -> list[Any]:
    if not found.artifacts:
        return []
    rows = [
        html.Tr(
            [
                html.Td(a.kind),
                html.Td(html.Code(a.path, title=f"sha256 {a.sha256}")),
                html.Td(f"{a.bytes:,} bytes", className="number"),
            ]
        )
        for a in found.artifacts
    ]
    return [html.H3("Artifacts"), html.Table(html.Tbody(rows), className="changes")]

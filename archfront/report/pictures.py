"""Pictures of architectures in their JSON form: for the network, each stage and each cell the nodes and their edges.

Nodes stand below each other, a line of text beside each, so that a picture is as legible on a phone as on a screen;
what isn't from one node to the next is an arc. A wiring says itself which edges it has (`Wiring.edges`), and so does
a part with a graph of its own (`Part.drawn`); where such a part isn't installed, a chain is drawn.
"""

import textwrap
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from typing import Any

from archfront.report.architectures import outline
from search_spaces.canonical import from_json
from search_spaces.errors import SpaceError
from search_spaces.parts import Edge

JSON = Any

ROW, TEXT, SIZE, WIDTH = 24, 6.7, 11, 330
"""The height of a line, the width of a letter and its size, and the width of a picture at most, in pixels."""
LIGHT = {"text": "#1f2733", "soft": "#8a94a6", "skip": "#2360d8", "join": "#17693c", "again": "#a4510b"}
DARK = {"text": "#e4e9f2", "soft": "#6d7889", "skip": "#7eaaff", "join": "#6fd39a", "again": "#f3a86b"}
KINDS = {
    "skip": "past the nodes between (blue)",
    "join": "joined to what else a node is given (green)",
    "again": "again, with the same weights (brown)",
    "exit": "where examples may leave (dashed)",
}
"""What each kind of edge means, for the legend."""
LINES, LINE = 3, 14
"""So many lines a node has at most, and a further one's height."""


@dataclass(frozen=True)
class Panel:
    """One graph: its title, a line for each node, and edges by the nodes' places."""

    title: str
    rows: tuple[str, ...]
    edges: tuple[Edge, ...]


def graphs(architecture: JSON) -> list[Panel]:
    """The graphs of an architecture: the network's, those of its stages, or what its parts draw themselves."""
    network, ties = _network(architecture)
    stages = network.get("stages") if isinstance(network, dict) else None
    if not isinstance(stages, list) or not stages:
        return _own(network) or [Panel("network", (_name(network) or outline(network),), ())]
    rows = ["input → " + _line(network.get("stem")), *(_stage_line(i, stage) for i, stage in enumerate(stages))]
    rows.append(" → ".join([*filter(None, [_name(network.get("neck"))]), _name(network.get("head")) or "head"]))
    edges = _edges(network.get("wiring"), len(stages))
    if _takes_all(network):
        edges += tuple((place, len(stages) + 1, "join") for place in range(1, len(stages)))
    panels = [Panel(_titled("network", network.get("wiring")), tuple(rows), edges)]
    for number, stage in enumerate(stages):
        blocks = stage.get("blocks") if isinstance(stage, dict) else None
        if isinstance(blocks, list) and blocks:
            row = ties[number] if number < len(ties) and isinstance(ties[number], list) else []
            panels.append(_stage(number, stage, blocks, row))
    return panels


def _network(value: JSON) -> tuple[JSON, list[Any]]:
    """The network of stages inside of what ties its layers, or holds it beside a recipe; and the ties."""
    ties: list[Any] = []
    while isinstance(value, dict) and isinstance(value.get("network"), dict):
        ties = value["ties"] if isinstance(value.get("ties"), list) else ties
        value = value["network"]
    return value, ties


def _takes_all(network: dict[str, JSON]) -> bool:
    """Whether a neck or the head is given all stages' maps."""
    if isinstance(network.get("neck"), dict):
        return True
    with suppress(SpaceError):  # A head that isn't installed.
        return isinstance(network.get("head"), dict) and getattr(from_json(network["head"]), "all_maps", False)
    return False


def _own(network: JSON) -> list[Panel]:
    try:
        return [Panel(*drawn) for drawn in from_json(network).drawn()]
    except (SpaceError, AttributeError):  # A part that isn't installed, or no part.
        return []


def _stage(number: int, stage: dict[str, JSON], blocks: Sequence[JSON], ties: Sequence[JSON]) -> Panel:
    wiring = stage.get("wiring")
    rows = [f"{place}: {_line(block)}{_tied(place, ties)}" for place, block in enumerate(blocks)]
    title = _titled(f"stage {number}, {stage.get('width', '?')} channels", wiring)
    return Panel(title, ("in", *rows, "out"), _edges(wiring, len(blocks)))


def _tied(place: int, ties: Sequence[JSON]) -> str:
    return f" (weights of {ties[place]})" if place < len(ties) and ties[place] != place else ""


def _edges(wiring: JSON, count: int) -> tuple[Edge, ...]:
    """A wiring's edges, the input as node 0."""
    found: Iterable[Edge] = [(place - 1, place, "") for place in range(count + 1)]
    if isinstance(wiring, dict):
        with suppress(SpaceError, AttributeError):  # A part that isn't installed, or no wiring.
            found = list(from_json(wiring).edges(count))
    return tuple((start + 1, end + 1, kind) for start, end, kind in found)


def _titled(what: str, wiring: JSON) -> str:
    return f"{what}: {outline(wiring)}" if isinstance(wiring, dict) else what


def _stage_line(number: int, stage: JSON) -> str:
    if not isinstance(stage, dict):
        return f"stage {number}"
    blocks = stage.get("blocks")
    many = f"{len(blocks)} block{'s' * (len(blocks) != 1)}" if isinstance(blocks, list) else _name(stage)
    return f"stage {number}: {stage.get('width', '?')} channels, {many}"


def _line(value: JSON) -> str:
    """A block by the parts that it is told apart by, any other part by its outline."""
    if not isinstance(value, dict):
        return "stem" if value is None else str(value)
    inner = [outline(value[key]) for key in ("token_mixer", "channel_mixer") if value.get(key)]
    return " · ".join(inner) or outline(value)


def _name(value: JSON) -> str:
    return str(value.get("part", "")).partition("/")[2] if isinstance(value, dict) else ""


def svg(panel: Panel, dark: bool = False) -> str:
    """The picture as SVG; with `dark` in the colours that the reader's scheme asks for, else on white."""
    margin = 16 + max((_bulge(edge) for edge in panel.edges), default=0.0)
    texts = [_wrapped(row, int((WIDTH - margin - 14) / TEXT)) for row in panel.rows]
    heights, height = [], 0
    for text in texts:
        heights.append(height + 16)
        height += ROW + LINE * (len(text) - 1)
    lines = [_arc(edge, margin, heights) for edge in panel.edges]
    for row, text, y in zip(panel.rows, texts, heights, strict=True):
        lines.append(f'<circle cx="{margin:.0f}" cy="{y}" r="4"/>')
        for number, part in enumerate(text):
            at = f'x="{margin + 12 + 12 * bool(number):.0f}" y="{y + 4 + LINE * number}"'
            lines.append(f"<text {at}>{escape(part)}<title>{escape(row)}</title></text>")
    height += 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="picture" role="img" aria-label="{escape(panel.title)}" '
        f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">{_style(dark)}{"".join(lines)}</svg>'
    )


def kinds(panels: Iterable[Panel]) -> list[tuple[str, str]]:
    """The kinds of edges that are drawn, and what they mean."""
    drawn = {kind for panel in panels for _, _, kind in panel.edges}
    return [(kind, meaning) for kind, meaning in KINDS.items() if kind in drawn]


def _wrapped(row: str, room: int) -> list[str]:
    """The text in lines of so many letters; what doesn't fit into `LINES` is left out."""
    return textwrap.wrap(row, max(room, 12), max_lines=LINES, placeholder=" …") or [""]


def _bulge(edge: Edge) -> float:
    """How far an arc goes to the left, the farther the more nodes it passes; a line between neighbours doesn't."""
    start, end, kind = edge
    return 0.0 if end - start == 1 and not kind else 12 + min(9.0 * max(0, abs(end - start) - 1), 110)


def _arc(edge: Edge, x: float, heights: Sequence[int]) -> str:
    start, end, kind = edge
    bulge, top, bottom = _bulge(edge), heights[start], heights[end]
    label = f' class="{kind}"' if kind in KINDS else ""
    if not bulge:
        return f'<path{label} d="M{x:.0f} {top}V{bottom}"/>'
    if start == end:
        return f'<path{label} d="M{x:.0f} {top}C{x - 20:.0f} {top - 16} {x - 20:.0f} {top + 16} {x:.0f} {top}"/>'
    reach = x - bulge * 4 / 3
    curve = f'<path{label} d="M{x:.0f} {top}C{reach:.0f} {top} {reach:.0f} {bottom} {x:.0f} {bottom}"/>'
    tip = x - 4
    head = f'<path{label} d="M{tip - 6:.0f} {bottom - 4}L{tip:.0f} {bottom}L{tip - 6:.0f} {bottom + 4}"/>'
    return curve + head


def _style(dark: bool) -> str:
    night = f"@media (prefers-color-scheme: dark){{{_colours(DARK)}}}" if dark else ""
    return f"<style>{_colours(LIGHT)}{night}</style>"


def _colours(names: dict[str, str]) -> str:
    font = f"{SIZE}px ui-monospace,Menlo,Consolas,monospace"
    rules = [
        f".picture text{{fill:{names['text']};font:{font}}}",
        f".picture circle{{fill:{names['text']}}}",
        f".picture path{{fill:none;stroke:{names['soft']};stroke-width:1.5}}",
        *(f".picture path.{kind}{{stroke:{names[kind]}}}" for kind in ("skip", "join", "again")),
        f".picture path.exit{{stroke:{names['again']};stroke-dasharray:4 3}}",
    ]
    return "".join(rules)

"""The layers of a staged network by their numbers, and whose weights each has."""

from dataclasses import replace
from typing import Any

from search_spaces.edits.reaching import network_of, ties_of
from search_spaces.errors import SpaceError


def as_tied(architecture: Any) -> Any:
    """The network of stages as one with ties, which may be none; raises `SpaceError` for other networks."""
    from search_spaces.topologies.network.tied import Tied

    return architecture if isinstance(architecture, Tied) else Tied(architecture)


def layers(architecture: Any) -> list[tuple[int, int]]:
    """The stage and the place in it of each layer, in the order of their numbers."""
    stages = network_of(architecture).stages
    return [(number, place) for number, stage in enumerate(stages) for place in range(len(stage.blocks))]


def place_of(tied: Any, layer: int) -> tuple[int, int]:
    """The stage and the place in it of layer number `layer`."""
    known = layers(tied)
    if not 0 <= layer < len(known):
        raise SpaceError(f"there is no layer {layer}; the network has layers 0 to {len(known) - 1}", "ties")
    return known[layer]


def with_tie(tied: Any, stage: int, place: int, to: int) -> Any:
    """The network with one layer tied, every chain resolved; what is said of layers that aren't there is kept."""
    rows = [list(row) for row in tied.roots]
    rows[stage][place] = to
    rows[stage] = [to if root == place else root for root in rows[stage]] if to != place else rows[stage]
    void = [tied.ties[number][len(row) :] if number < len(tied.ties) else () for number, row in enumerate(rows)]
    return replace(tied, ties=tuple((*row, *rest) for row, rest in zip(rows, void, strict=True)))


def check_untied(architecture: Any) -> None:
    """Raise `SpaceError` for tied layers: new blocks would move the layers that ties are between."""
    if next(ties_of(architecture), None) is not None:
        raise SpaceError("its layers are tied by their places; untie them before blocks are added", "ties")

"""The edits that tie layers of a staged network, and untie them: whose weights each layer has."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from search_spaces.edits.steps import Edit, edit, network_of
from search_spaces.errors import SpaceError
from search_spaces.parts import FAMILIES


@edit("tie", source="Dynamic Layer Tying for Parameter-Efficient Transformers")
@dataclass(frozen=True)
class Tie(Edit):
    """Layer `layer` takes over the weights of the earlier layer `to` of its stage, and shares them from now on.

    Layers are counted over the blocks of all stages. What was tied to the layer follows it. The network
    computes something else afterwards.
    """

    layer: int
    to: int
    preserves: ClassVar[bool] = False

    def applied(self, architecture: Any) -> Any:
        tied = as_tied(architecture)
        stage, place = _place(tied, self.layer)
        other, root = _place(tied, self.to)
        if other != stage or root >= place:
            raise SpaceError(
                f"layer {self.layer} can't be tied to layer {self.to}, only to an earlier one of its own stage", "ties"
            )
        return _with_tie(tied, stage, place, tied.roots[stage][root])


@edit("untie", source="Dynamic Layer Tying for Parameter-Efficient Transformers")
@dataclass(frozen=True)
class Untie(Edit):
    """Layer `layer`, counted over the blocks of all stages, learns on its own from here: it starts with a copy."""

    layer: int

    def applied(self, architecture: Any) -> Any:
        tied = as_tied(architecture)
        stage, place = _place(tied, self.layer)
        if tied.roots[stage][place] == place:
            raise SpaceError(f"layer {self.layer} isn't tied to an earlier one, so it can't be untied", "ties")
        return _with_tie(tied, stage, place, place)


def as_tied(architecture: Any) -> Any:
    """The network of stages as one with ties, which may be none; raises `SpaceError` for other networks."""
    if getattr(architecture, "name", "") == "tied":
        return architecture
    tied: Any = FAMILIES["network"].get("tied")
    return tied(architecture)


def layers(architecture: Any) -> list[tuple[int, int]]:
    """The stage and the place in it of each layer, in the order of their numbers."""
    stages = network_of(architecture).stages
    return [(number, place) for number, stage in enumerate(stages) for place in range(len(stage.blocks))]


def _place(tied: Any, layer: int) -> tuple[int, int]:
    known = layers(tied)
    if not 0 <= layer < len(known):
        raise SpaceError(f"there is no layer {layer}; the network has layers 0 to {len(known) - 1}", "ties")
    return known[layer]


def _with_tie(tied: Any, stage: int, place: int, to: int) -> Any:
    """The network with one layer tied, every chain resolved; what is said of layers that aren't there is kept."""
    rows = [list(row) for row in tied.roots]
    rows[stage][place] = to
    rows[stage] = [to if root == place else root for root in rows[stage]] if to != place else rows[stage]
    void = [tied.ties[number][len(row) :] if number < len(tied.ties) else () for number, row in enumerate(rows)]
    return replace(tied, ties=tuple((*row, *rest) for row, rest in zip(rows, void, strict=True)))

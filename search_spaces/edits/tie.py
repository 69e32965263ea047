"""Tying layers: one takes over the weights of another."""

from dataclasses import dataclass
from typing import Any, ClassVar

from search_spaces.edits.edit import Edit, edit
from search_spaces.edits.tied_layers import as_tied, place_of, with_tie
from search_spaces.errors import SpaceError


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
        stage, place = place_of(tied, self.layer)
        other, root = place_of(tied, self.to)
        if other != stage or root >= place:
            raise SpaceError(
                f"layer {self.layer} can't be tied to layer {self.to}, only to an earlier one of its own stage", "ties"
            )
        return with_tie(tied, stage, place, tied.roots[stage][root])

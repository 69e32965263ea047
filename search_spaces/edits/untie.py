"""Untying layers."""

from dataclasses import dataclass
from typing import Any

from search_spaces.edits.edit import Edit, edit
from search_spaces.edits.tied_layers import as_tied, place_of, with_tie
from search_spaces.errors import SpaceError


@edit("untie", source="Dynamic Layer Tying for Parameter-Efficient Transformers")
@dataclass(frozen=True)
class Untie(Edit):
    """Layer `layer`, counted over the blocks of all stages, learns on its own from here: it starts with a copy."""

    layer: int

    def applied(self, architecture: Any) -> Any:
        tied = as_tied(architecture)
        stage, place = place_of(tied, self.layer)
        if tied.roots[stage][place] == place:
            raise SpaceError(f"layer {self.layer} isn't tied to an earlier one, so it can't be untied", "ties")
        return with_tie(tied, stage, place, place)

"""Widening."""

from dataclasses import dataclass
from typing import Any

from search_spaces.edits.edit import Edit, edit, grown


@edit("widen", source="Net2Net: Accelerating Learning via Knowledge Transfer")
@dataclass(frozen=True)
class Widen(Edit):
    """More channels: those of the stage at `path`, or those inside the mixer there, whose `expansion` grows."""

    path: str
    to: float

    def applied(self, architecture: Any) -> Any:
        return grown(architecture, self.path, ("width", "expansion"), self.to)

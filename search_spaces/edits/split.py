"""Splitting into parallel paths."""

from dataclasses import dataclass
from typing import Any

from search_spaces.edits.edit import Edit, at, branched, edit
from search_spaces.errors import SpaceError


@edit("split", source="Path-Level Network Transformation for Efficient Architecture Search")
@dataclass(frozen=True)
class Split(Edit):
    """The token mixer at `path`, which must treat each channel alone, on `branches` shares of the channels."""

    path: str
    branches: int = 2

    def applied(self, architecture: Any) -> Any:
        if not getattr(at(architecture, self.path), "channelwise", False):
            raise SpaceError("mixes channels, so its channels can't be split; replicate it", self.path)
        return branched(architecture, self.path, self.branches, "split")

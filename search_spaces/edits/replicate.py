"""Replication into parallel paths."""

from dataclasses import dataclass
from typing import Any

from search_spaces.edits.edit import Edit, branched, edit


@edit("replicate", source="Path-Level Network Transformation for Efficient Architecture Search")
@dataclass(frozen=True)
class Replicate(Edit):
    """The token mixer at `path` `branches` times side by side, the outputs averaged."""

    path: str
    branches: int = 2

    def applied(self, architecture: Any) -> Any:
        return branched(architecture, self.path, self.branches, "replicate")

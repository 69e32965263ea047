"""Larger kernels."""

from dataclasses import dataclass
from typing import Any

from search_spaces.edits.edit import Edit, edit, grown


@edit("enlarge", source="Net2Net: Accelerating Learning via Knowledge Transfer")
@dataclass(frozen=True)
class EnlargeKernel(Edit):
    """A larger kernel for the convolution at `path`, which is zero around the old one."""

    path: str
    to: int

    def applied(self, architecture: Any) -> Any:
        return grown(architecture, self.path, ("kernel",), self.to)

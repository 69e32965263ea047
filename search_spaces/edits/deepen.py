"""Deepening."""

from dataclasses import dataclass
from typing import Any

from search_spaces.edits.edit import Edit, Inserted, blocks_at, edit, put
from search_spaces.edits.tied_layers import check_untied
from search_spaces.errors import SpaceError


@edit("deepen", source="Net2Net: Accelerating Learning via Knowledge Transfer")
@dataclass(frozen=True)
class Deepen(Edit):
    """A new block at place `index` of the stage at `path`, which passes everything on as it is.

    It is `block`; or else it starts as a copy of the block before it, or after it at the stage's start, up to the
    last layer of each branch.
    """

    path: str
    index: int
    block: Any = None

    def applied(self, architecture: Any) -> Any:
        blocks = self._blocks(architecture)
        block = self.block
        if block is None:
            block = blocks[self._model()]
        return put(architecture, f"{self.path}.blocks", (*blocks[: self.index], block, *blocks[self.index :]))

    def inserted(self, architecture: Any) -> Inserted:
        return {self.path: {self.index: self._model() if self.block is None else None}}

    def _model(self) -> int:
        return max(0, self.index - 1)

    def _blocks(self, architecture: Any) -> tuple[Any, ...]:
        check_untied(architecture)
        blocks = blocks_at(architecture, self.path)
        if not 0 <= self.index <= len(blocks) or not (blocks or self.block):
            raise SpaceError(f"has {len(blocks)} blocks; no block can be put at {self.index}", self.path)
        return blocks

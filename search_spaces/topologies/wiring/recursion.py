"""Recursion: blocks applied several times with the same weights."""

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from search_spaces.declarations import transparent
from search_spaces.errors import SpaceError
from search_spaces.parts import Edge, Part, part, shared
from search_spaces.site import Site
from search_spaces.topologies.wired import WiredBlocks, Wiring


@transparent
class Recursive(WiredBlocks):
    """Each block `times` times before the next one, or all of them in turn `times` times where they are `together`."""

    def __init__(self, blocks: Iterable[nn.Module], times: int, together: bool) -> None:
        super().__init__(blocks)
        self.times, self.together = times, together

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.together:
            for _ in range(self.times):
                for block in self.blocks:
                    x = block(x)
        else:
            for block in self.blocks:
                for _ in range(self.times):
                    x = block(x)
        return x


@part("wiring", "recursion", source="Sliced Recursive Transformer", sliced=True)
class Recursion(Wiring):
    """Each block is applied `times` times with the same weights: x -> f_n(...f_n(...f_1(...f_1(x)))).

    With `together` the whole stage is: x -> f_n(...f_1(...f_n(...f_1(x)))). Maps are (batch, C, *sides) throughout.
    No weights are added; activations and multiply-accumulates are `times` those of the chain. Left out of the
    publication: its non-linear projection layers (a normalized MLP with learnt factors behind each application, the
    one thing that differs between applications, with weights of its own), and its sliced group self-attention, which
    is a token mixer. Batch normalizations keep one set of statistics for all applications.
    """

    times: int = shared(default=2)
    together: bool = shared(default=False)

    def validate(self) -> None:
        if not isinstance(self.times, int) or isinstance(self.times, bool) or self.times < 1:
            raise SpaceError(f"must be an integer of 1 or more, not {self.times!r}", "recursion.times")
        if not isinstance(self.together, bool):
            raise SpaceError(f"must be True or False, not {self.together!r}", "recursion.together")

    def for_items(self, count: int) -> Part:
        if self.times == 1 or count == 0:
            return self.as_chain()
        return Recursion(self.times) if count == 1 and self.together else self

    def canonical(self) -> Part:
        return self.as_chain() if self.times == 1 else self

    def insertable(self) -> bool:
        return True

    def edges(self, count: int) -> Iterable[Edge]:
        again = [(count - 1, 0)] if self.together else [(place, place) for place in range(count)]
        return [*super().edges(count), *((*pair, "again") for pair in again)]

    def build(self, site: Site, modules: Sequence[nn.Module], sites: Sequence[Site]) -> nn.Module:
        if self.times == 1 or not modules:
            return nn.Sequential(*modules)
        return Recursive(modules, self.times, self.together)

"""Sparse aggregation: each block is given the outputs at exponentially growing distances behind it."""

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from search_spaces.declarations import transparent
from search_spaces.errors import SpaceError
from search_spaces.layers.maps_conv import MapsConv
from search_spaces.parts import Edge, Part, part
from search_spaces.site import Site
from search_spaces.topologies.wired import WiredBlocks, Wiring


def sources(place: int) -> list[int]:
    """Whose maps the block at `place` is given, the stage's input being map 0: those 1, 2, 4, 8 … steps before it."""
    return [place + 1 - 2**power for power in range((place + 1).bit_length()) if place + 1 >= 2**power]


@transparent
class SparselyConnected(WiredBlocks):
    """Block i is given the sum of the maps of `sources(i)`, or `joins[i]` of them where there are joins."""

    def __init__(self, blocks: Iterable[nn.Module], joins: Iterable[nn.Module]) -> None:
        super().__init__(blocks)
        self.joins = nn.ModuleList(joins)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = [x]
        for place, block in enumerate(self.blocks):
            given = [maps[source] for source in sources(place)]
            if place and len(self.joins):
                maps.append(block(self.joins[place - 1](*given)))
                continue
            total = given[0]
            for other in given[1:]:
                total = total + other
            maps.append(block(total))
        return maps[-1]


@part("wiring", "sparse_aggregation", source="Sparsely Aggregated Convolutional Networks", sliced=True)
class SparseAggregation(Wiring):
    """x_i = f_i(a(x_(i-1), x_(i-2), x_(i-4), x_(i-8), ...)): of n blocks, each sees about log2(n) earlier maps.

    `merge` says what a is: the "sum", which needs no weights, or a 1x1 convolution of the "concat"enation, of C^2
    weights per map. x_0 is the stage's input, all maps are (batch, C, *sides). The abstract leaves the distances open;
    powers of 2 are the publication's choice.
    """

    merge: str = "sum"

    def validate(self) -> None:
        if self.merge not in ("sum", "concat"):
            raise SpaceError(f"must be sum or concat, not '{self.merge}'", "sparse_aggregation.merge")

    def for_items(self, count: int) -> Part:
        return self if count > 1 else self.as_chain()

    def edges(self, count: int) -> Iterable[Edge]:
        far = [(source - 1, place, "join") for place in range(count) for source in sources(place)[1:]]
        return [*super().edges(count), *far]

    def build(self, site: Site, modules: Sequence[nn.Module], sites: Sequence[Site]) -> nn.Module:
        if len(modules) < 2:
            return nn.Sequential(*modules)
        channels, joins = site.channels, []
        for place in range(1, len(modules) if self.merge == "concat" else 1):
            joins.append(MapsConv([channels] * len(sources(place)), channels, len(site.sides)))
        return SparselyConnected(modules, joins)

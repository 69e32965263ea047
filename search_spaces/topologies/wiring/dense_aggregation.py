"""Dense connections: each block is given what all earlier ones give."""

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from search_spaces.declarations import transparent
from search_spaces.layers.maps_conv import MapsConv
from search_spaces.parts import Edge, Part, part
from search_spaces.site import Site
from search_spaces.topologies.wired import WiredBlocks, Wiring


@transparent
class DenselyConnected(WiredBlocks):
    """Block i is given `joins[i - 1]` of the input and of what blocks 0 to i - 1 give, block 0 the input."""

    def __init__(self, blocks: Iterable[nn.Module], joins: Iterable[nn.Module]) -> None:
        super().__init__(blocks)
        self.joins = nn.ModuleList(joins)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = [x, self.blocks[0](x)]
        for block, join in zip(self.blocks[1:], self.joins, strict=True):
            maps.append(block(join(*maps)))
        return maps[-1]


@part("wiring", "dense_aggregation", source="Densely Connected Convolutional Networks", sliced=True)
class DenseAggregation(Wiring):
    """Each block is given all earlier maps of the stage, the stage's input included.

    x_i = f_i(W_i [x_0, ..., x_(i-1)]), where x_0 is the stage's input and W_i a 1x1 convolution from the concatenation
    to the stage's C channels; x_1 = f_1(x_0). All maps are (batch, C, *sides). On top of n blocks this takes
    (n (n + 1) / 2 - 1) C^2 weights, and as many multiply-accumulates per position. Unlike in the publication all maps
    have the stage's width, not a growth rate's, and what leaves the stage is the last block's map alone.
    """

    def for_items(self, count: int) -> Part:
        return self if count > 1 else self.as_chain()

    def edges(self, count: int) -> Iterable[Edge]:
        along = list(super().edges(count))
        return along + [(early, late, "join") for late in range(1, count) for early in range(-1, late - 1)]

    def build(self, site: Site, modules: Sequence[nn.Module], sites: Sequence[Site]) -> nn.Module:
        if len(modules) < 2:
            return nn.Sequential(*modules)
        channels = site.channels
        joins = [MapsConv([channels] * (late + 1), channels, len(site.sides)) for late in range(1, len(modules))]
        return DenselyConnected(modules, joins)

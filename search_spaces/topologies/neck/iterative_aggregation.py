"""Iterative deep aggregation: stages' maps fused one after another, from the shallowest to the deepest."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from search_spaces.declarations import transparent
from search_spaces.layers.by_sides import POOLS
from search_spaces.layers.maps_conv import MapsConv
from search_spaces.parts import Part, Placed, part, slot
from search_spaces.site import Shape, Site


@transparent
class AggregationNode(nn.Module):
    """What was fused so far, at the resolution of the next map, joined with that map."""

    def __init__(self, pool: nn.Module, join: MapsConv, activation: nn.Module) -> None:
        super().__init__()
        self.pool, self.join, self.activation = pool, join, activation

    def forward(self, fused: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.activation(self.join(self.pool(fused), x))


@transparent
class IterativelyAggregated(nn.Module):
    """`nodes[s - 1]` joins what was fused of the maps before map s to it; all that is fused comes out, map by map."""

    def __init__(self, nodes: Iterable[nn.Module]) -> None:
        super().__init__()
        self.nodes = nn.ModuleList(nodes)

    def forward(self, maps: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        fused = [maps[0]]
        for place, node in enumerate(self.nodes, start=1):
            fused.append(node(fused[-1], maps[place]))
        return tuple(fused)


@part("neck", "iterative_aggregation", source="Deep Layer Aggregation", sliced=True, sides=(1, 2, 3))
class IterativeAggregation(Part):
    """y_1 = x_1 and y_s = a(N(W_s [pool(y_(s-1)), x_s])): shallow maps are refined as they are fused with deeper ones.

    Of maps x_s of (batch, c_s, *sides_s) it gives y_s of the same shapes, of which a head of one map takes the last.
    `pool` averages to the sides of x_s, W_s is a 1x1 convolution of c_(s-1) + c_s to c_s channels, N the normalization
    and a the activation. W_s costs (c_(s-1) + c_s) c_s weights, and as many multiply-accumulates per position of x_s.
    The publication's hierarchical aggregation, of blocks within a stage, is left out.
    """

    norm: Any = slot("norm", default="batch")
    activation: Any = slot("activation", default="relu")

    def shapes_after(self, site: Site) -> tuple[Shape, ...]:
        """The shapes of the maps that come out."""
        return site.maps

    def parts_at(self, site: Site) -> Iterable[Placed]:
        for shape in site.maps[1:]:
            yield "norm", self.norm, site.at(shape)
            yield "activation", self.activation, site.at(shape)

    def build(self, site: Site) -> nn.Module:
        nodes = []
        for (channels, *_), (width, *sides) in zip(site.maps, site.maps[1:], strict=False):
            inner = site.at((width, *sides))
            norm = None if self.norm is None else self.norm.build(inner)
            activation = nn.Identity() if self.activation is None else self.activation.build(inner)
            join = MapsConv([channels, width], width, len(sides), norm)
            nodes.append(AggregationNode(POOLS[len(sides) - 1](tuple(sides)), join, activation))
        return IterativelyAggregated(nodes)

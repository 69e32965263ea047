"""Long skips: what a shallow block gives is joined to what the deep block opposite is given."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from search_spaces.declarations import transparent
from search_spaces.layers.maps_conv import MapsConv
from search_spaces.parts import Edge, Part, Placed, part, slot
from search_spaces.site import Site
from search_spaces.topologies.wired import WiredBlocks, Wiring


@transparent
class LongSkipped(WiredBlocks):
    """Of n blocks, block n - 1 - i is given `joins[i]` of what comes to it and of what block i gave."""

    def __init__(self, blocks: Iterable[nn.Module], joins: Iterable[nn.Module]) -> None:
        super().__init__(blocks)
        self.joins = nn.ModuleList(joins)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept: list[torch.Tensor] = []
        for place, block in enumerate(self.blocks):
            opposite = len(self.blocks) - 1 - place
            if opposite < len(self.joins):
                x = self.joins[opposite](x, kept[opposite])
            x = block(x)
            kept.append(x)
        return x


@part("wiring", "long_skips", source="Accelerating Vision Diffusion Transformers with Skip Branches", sliced=True)
class LongSkips(Wiring):
    """Of n blocks, what shallow block i gives is joined to what deep block n - 1 - i is given, as in a U-Net.

    x_(d+1) = f_d(W_i [N(x_d), N'(x_(i+1))]) with d = n - 1 - i for each i with i + 1 < d, a 1x1 convolution W_i of 2 C
    to C channels and normalizations N; the other blocks are a chain. All maps are (batch, C, *sides). On top of the
    blocks this takes 2 C^2 weights per skip, and as many multiply-accumulates per position; there are (n - 1) // 2
    skips. The publication normalizes the concatenation; here each map is normalized alone, so that widths share
    weights exactly. Its reuse of cached features over the steps of a diffusion is none of an architecture.
    """

    norm: Any = slot("norm", default="layer")

    def for_items(self, count: int) -> Part:
        return self if count > 2 else self.as_chain()

    def edges(self, count: int) -> Iterable[Edge]:
        return [*super().edges(count), *((place, count - 1 - place, "skip") for place in range((count - 1) // 2))]

    def parts_at(self, site: Site) -> Iterable[Placed]:
        return [("norm", self.norm, site)]

    def build(self, site: Site, modules: Sequence[nn.Module], sites: Sequence[Site]) -> nn.Module:
        if len(modules) < 3:
            return nn.Sequential(*modules)

        def make_norm(channels: int) -> nn.Module:
            return self.norm.build(site.wide(channels))

        channels, normalize = [site.channels] * 2, None if self.norm is None else make_norm
        skips = range((len(modules) - 1) // 2)
        return LongSkipped(
            modules, [MapsConv(channels, site.channels, len(site.sides), make_norm=normalize) for _ in skips]
        )

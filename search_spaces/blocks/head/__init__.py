"""Heads: `build(site)` gives a module from a map to `shape_after(site)`, which has `site.width` outputs.

That is (outputs,) of the whole input, or (outputs, *sides) where each position has outputs of its own.

A head that has `all_maps = True` takes a tuple of all stages' maps instead, whose shapes are `site.maps`.
"""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from search_spaces.example_networks import around
from search_spaces.families import Family
from search_spaces.holes import one_of
from search_spaces.site import Shape, Site

OUTPUTS = 10
"""Classes of the heads under test."""


class TwoMaps(nn.Module):
    """What a head or neck under test is given of all stages' maps: the second one is made by pooling."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, (nn.functional.avg_pool1d if x.dim() == 3 else nn.functional.avg_pool2d)(x, 2)


class Heads(Family):
    """How its parts are tested."""

    same_shape = False

    def site(self, shape: Shape) -> Site:
        maps = (tuple(shape), (shape[0], *(side // 2 for side in shape[1:])))
        # Inputs larger than the map, and by no whole number, as behind strides.
        inputs = (3, *(2 * side + 1 for side in shape[1:]))
        return Site(tuple(shape), width=OUTPUTS, index=1, maps=maps, inputs=inputs)

    def module(self, part: Any, site: Site) -> nn.Module:
        head = part.build(site)
        if not getattr(part, "all_maps", False):
            return head
        return nn.Sequential(OrderedDict([("maps", TwoMaps()), ("head", head)]))

    def network(self, part: Any, site: Site) -> Any:
        from search_spaces.blocks.block.block import Block
        from search_spaces.topologies.stage.stage import Stage

        widths = one_of(site.channels, 2 * site.channels)
        stages = (Stage(widths, (Block("pool"),), None), Stage(widths, (Block("pool"),)))
        return around(site, head=part, **({"stages": stages} if getattr(part, "all_maps", False) else {}))


HEAD = Heads("head", __name__)

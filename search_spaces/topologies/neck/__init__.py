"""Necks: `build(site)` gives a module from a tuple of all stages' maps to a tuple of maps, for the head.

The maps' shapes are `site.maps`; what comes out has those of `shapes_after(site)`, the last of which a head that takes
one map is given.
"""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from search_spaces.blocks.head import TwoMaps
from search_spaces.example_networks import around
from search_spaces.families import Family
from search_spaces.holes import one_of
from search_spaces.site import Shape, Site


class LastOfMaps(nn.Module):
    """What is looked at of a neck under test."""

    def forward(self, maps: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return maps[-1]


class Necks(Family):
    """How its parts are tested: on two stages' maps."""

    same_shape = False

    def site(self, shape: Shape) -> Site:
        return Site(tuple(shape), maps=(tuple(shape), (shape[0], *(side // 2 for side in shape[1:]))))

    def module(self, part: Any, site: Site) -> nn.Module:
        return nn.Sequential(OrderedDict([("maps", TwoMaps()), ("neck", part.build(site)), ("last", LastOfMaps())]))

    def shape_after(self, part: Any, site: Site) -> Shape:
        return tuple(part.shapes_after(site)[-1])

    def network(self, part: Any, site: Site) -> Any:
        from search_spaces.blocks.block.block import Block
        from search_spaces.topologies.stage.stage import Stage

        widths = one_of(site.channels, 2 * site.channels)
        return around(site, stages=(Stage(widths, (Block("pool"),), None), Stage(widths, (Block("pool"),))), neck=part)


NECK = Necks("neck", __name__)

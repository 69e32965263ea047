"""Wirings: which earlier maps each block of a stage, or each stage of a network, is given.

`sites(site, items)` says where the items (blocks, or stages) are built, `shape_of(site, items)` what comes out,
`refuses(site, items)` why these can't be wired so; `build(site, modules, sites)` gives the items' modules as one, which
holds them as `blocks` unless it is an `nn.Sequential`. See `Wiring` in `search_spaces.topologies.wired`.
"""

from typing import Any

from torch import nn

from search_spaces.example_networks import around
from search_spaces.families import Family
from search_spaces.holes import integers, one_of, repeat
from search_spaces.site import Site

BLOCKS = 3
"""The most blocks that are wired in tests."""


class Wirings(Family):
    """How its parts are tested: around convolutions of the map's channels, and in stages of one to three blocks."""

    same_shape = False

    def module(self, part: Any, site: Site) -> nn.Module:
        from search_spaces.blocks.block.block import Block

        items = (Block("depthwise_conv"),) * BLOCKS
        sites = part.sites(site, items)
        modules = [item.build(inner) for item, inner in zip(items, sites, strict=True)]
        return part.build(site, modules, sites)

    def network(self, part: Any, site: Site) -> Any:
        from search_spaces.blocks.block.block import Block
        from search_spaces.topologies.stage.stage import Stage

        blocks = repeat(integers(1, BLOCKS), Block("depthwise_conv"))
        stage = Stage(one_of(site.channels, 2 * site.channels), blocks, None, part)
        return around(site, stages=(stage,))


WIRING = Wirings("wiring", __name__)

"""Wirings: which earlier maps each block of a stage, or each stage of a network, is given.

`sites(site, items)` says where the items (blocks, or stages) are built, `shape_of(site, items)` what comes out,
`refuses(site, items)` why these can't be wired so; `build(site, modules, sites)` gives the items' modules as one, which
holds them as `blocks` unless it is an `nn.Sequential`. See `Wiring` in `search_spaces.topologies.wired`.
"""

from dataclasses import replace
from typing import Any

from torch import nn

from search_spaces.example_networks import around
from search_spaces.families import Family
from search_spaces.holes import integers, one_of, repeat
from search_spaces.site import Shape, Site

BLOCKS = 3
"""The most blocks that are wired in tests."""
OUTPUTS = 10
"""Classes of the networks whose stages are wired in tests."""


class Wirings(Family):
    """How its parts are tested: around blocks of the map's channels, or in a network of two stages."""

    same_shape = False

    def site(self, shape: Shape) -> Site:
        return Site(tuple(shape), width=OUTPUTS)

    def module(self, part: Any, site: Site) -> nn.Module:
        from search_spaces.blocks.block.block import Block

        if "block" not in part.wires:
            return _of_stages(part, site)
        items = (Block("depthwise_conv"),) * BLOCKS
        sites = part.sites(site, items)
        modules = [item.build(inner) for item, inner in zip(items, sites, strict=True)]
        return part.build(site, modules, sites)

    def shape_after(self, part: Any, site: Site) -> Shape:
        return site.shape if "block" in part.wires else (OUTPUTS,)

    def network(self, part: Any, site: Site) -> Any:
        from search_spaces.blocks.block.block import Block
        from search_spaces.topologies.stage.stage import Stage

        widths = one_of(site.channels, 2 * site.channels)
        if "block" not in part.wires:
            stages = (Stage(widths, (Block("pool"),), None), Stage(widths, (Block("pool"),)))
            return around(site, stages=stages, wiring=part)
        stage = Stage(widths, repeat(integers(1, BLOCKS), Block("depthwise_conv")), None, part)
        return around(site, stages=(stage,))


def _of_stages(part: Any, site: Site) -> nn.Module:
    """A network without a stem, of two stages."""
    from search_spaces.blocks.block.block import Block
    from search_spaces.blocks.head.average_pool import AveragePoolHead
    from search_spaces.topologies.stage.stage import Stage

    stages = (Stage(site.channels, (Block("pool"),), None), Stage(2 * site.channels, (Block("pool"),)))
    sites = part.sites(site.at(site.shape), stages)
    modules = [stage.build(inner) for stage, inner in zip(stages, sites, strict=True)]
    shapes = tuple(tuple(stage.shape_after(inner)) for stage, inner in zip(stages, sites, strict=True))
    behind = replace(site.at(shapes[-1], OUTPUTS), maps=shapes)
    head = AveragePoolHead().build(behind)
    return part.joined(behind, nn.Identity(), part.build(site, modules, sites), [("head", head)])


WIRING = Wirings("wiring", __name__)

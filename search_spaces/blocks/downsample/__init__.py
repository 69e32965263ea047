"""Downsamples: `build(site)` gives a module that halves a map, to `shape_after(site)` with `site.width` channels."""

from typing import Any

from search_spaces.example_networks import WIDTH, around
from search_spaces.families import Family
from search_spaces.holes import one_of
from search_spaces.site import Shape, Site


class Downsamples(Family):
    """How its parts are tested."""

    same_shape = False

    def site(self, shape: Shape) -> Site:
        return Site(tuple(shape), width=WIDTH)

    def network(self, part: Any, site: Site) -> Any:
        from search_spaces.blocks.block.block import Block
        from search_spaces.topologies.stage.stage import Stage

        before = Stage(one_of(site.channels, 2 * site.channels), (Block("pool"),), None)
        return around(site, stages=(before, Stage(one_of(WIDTH, 2 * WIDTH), (Block("pool"),), part)))


DOWNSAMPLE = Downsamples("downsample", __name__)

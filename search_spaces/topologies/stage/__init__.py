"""Stages: `build(site)` gives a module from maps of `site.shape` to maps of `shape_after(site)`."""

from typing import Any

from search_spaces.example_networks import around
from search_spaces.families import Family
from search_spaces.site import Site


class Stages(Family):
    """How its parts are tested."""

    same_shape = False

    def network(self, part: Any, site: Site) -> Any:
        from search_spaces.blocks.block.block import Block
        from search_spaces.topologies.stage.stage import Stage

        return around(site, stages=(Stage(site.channels, (Block("pool"),), None), part))


STAGE = Stages("stage", __name__)

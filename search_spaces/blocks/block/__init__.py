"""Blocks: `build(site)` gives a module, same shape in and out."""

from typing import Any

from search_spaces.example_networks import around
from search_spaces.families import Family
from search_spaces.site import Site


class Blocks(Family):
    """How its parts are tested."""

    def network(self, part: Any, site: Site) -> Any:
        return around(site, part)


BLOCK = Blocks("block", __name__)

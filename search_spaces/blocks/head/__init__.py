"""Heads: `build(site)` gives a module from a map to `site.width` outputs.

A head that has `all_maps = True` takes a tuple of all stages' maps instead, whose shapes are `site.maps`."""

from typing import Any

from search_spaces.example_networks import around
from search_spaces.families import Family
from search_spaces.site import Shape, Site

OUTPUTS = 10
"""Classes of the heads under test."""


class Heads(Family):
    """How its parts are tested."""

    same_shape = False

    def site(self, shape: Shape) -> Site:
        return Site(tuple(shape), width=OUTPUTS, index=1)

    def network(self, part: Any, site: Site) -> Any:
        return around(site, head=part)


HEAD = Heads("head", __name__)

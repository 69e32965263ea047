"""Stems: `build(site)` gives a module from inputs to maps of `shape_after(site)`, with `site.width` channels."""

from typing import Any

from search_spaces.example_networks import WIDTH, around
from search_spaces.families import Family
from search_spaces.site import Shape, Site


class Stems(Family):
    """How its parts are tested."""

    same_shape = False
    takes_inputs = True

    def site(self, shape: Shape) -> Site:
        return Site(tuple(shape), width=WIDTH)

    def network(self, part: Any, site: Site) -> Any:
        return around(site.at(part.shape_after(site)), stem=part)


STEM = Stems("stem", __name__)

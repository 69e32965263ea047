"""Networks: `build(site)` gives the whole module, from inputs of `site.shape` to `site.width` outputs."""

from typing import Any

from search_spaces.families import Family
from search_spaces.site import Shape, Site

OUTPUTS = 10
"""Classes of the networks under test."""


class Networks(Family):
    """How its parts are tested."""

    same_shape = False
    takes_inputs = True

    def site(self, shape: Shape) -> Site:
        return Site(tuple(shape), width=OUTPUTS)

    def network(self, part: Any, site: Site) -> Any:
        return part


NETWORK = Networks("network", __name__)

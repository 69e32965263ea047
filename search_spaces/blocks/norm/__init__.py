"""Normalizations: `build(site)` gives a module for maps of the site's channels, same shape out."""

from typing import Any

from search_spaces.example_networks import staged
from search_spaces.families import Family
from search_spaces.site import Site


class Norms(Family):
    """How its parts are tested."""

    def network(self, part: Any, site: Site) -> Any:
        return staged(site, norm=part)


NORM = Norms("norm", __name__)

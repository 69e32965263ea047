"""Token mixers: `build(site)` gives a module that mixes positions, same shape in and out."""

from typing import Any

from search_spaces.example_networks import staged
from search_spaces.families import Family
from search_spaces.site import Site


class TokenMixers(Family):
    """How its parts are tested."""

    def network(self, part: Any, site: Site) -> Any:
        return staged(site, token_mixer=part)


TOKEN_MIXER = TokenMixers("token_mixer", __name__)

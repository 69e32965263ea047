"""Positional encodings: `build(site)` gives a module that adds positions to a map, same shape in and out."""

from typing import Any

from search_spaces.example_networks import staged
from search_spaces.families import Family
from search_spaces.site import Site


class PositionalEncodings(Family):
    """How its parts are tested."""

    def network(self, part: Any, site: Site) -> Any:
        from search_spaces.blocks.token_mixer.self_attention import SelfAttention

        return staged(site, token_mixer=SelfAttention(1, part))


POSITIONAL_ENCODING = PositionalEncodings("positional_encoding", __name__)

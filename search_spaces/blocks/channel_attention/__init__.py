"""Channel attention: `build(site)` gives a module that reweights the channels of a map, same shape in and out."""

from typing import Any

from search_spaces.example_networks import staged
from search_spaces.families import Family
from search_spaces.site import Site


class ChannelAttentions(Family):
    """How its parts are tested."""

    def network(self, part: Any, site: Site) -> Any:
        return staged(site, channel_attention=part)


CHANNEL_ATTENTION = ChannelAttentions("channel_attention", __name__)

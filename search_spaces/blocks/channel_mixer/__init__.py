"""Channel mixers: `build(site)` gives a module that mixes the channels of each position, same shape in and out."""

from typing import Any

from search_spaces.example_networks import staged
from search_spaces.families import Family
from search_spaces.site import Site


class ChannelMixers(Family):
    """How its parts are tested."""

    def network(self, part: Any, site: Site) -> Any:
        return staged(site, channel_mixer=part)


CHANNEL_MIXER = ChannelMixers("channel_mixer", __name__)

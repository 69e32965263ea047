"""Activations: `build(site)` gives an elementwise module; the site's channels are there for those with weights."""

from typing import Any

from search_spaces.example_networks import staged
from search_spaces.families import Family
from search_spaces.site import Site


class Activations(Family):
    """How its parts are tested."""

    def network(self, part: Any, site: Site) -> Any:
        from search_spaces.blocks.channel_mixer.mlp import MLP

        return staged(site, channel_mixer=MLP(activation=part))


ACTIVATION = Activations("activation", __name__)

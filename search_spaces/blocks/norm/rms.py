"""Root mean square normalization."""

from timm.layers import RmsNorm2d
from torch import nn

from search_spaces.layers.channel_norms import ChannelRmsNorm
from search_spaces.parts import Part, part
from search_spaces.site import Site


@part("norm", "rms", source="Root Mean Square Layer Normalization", sliced=True)
class RMSNorm(Part):
    """Each position over its channels, by the root mean square alone: no mean, no bias."""

    def build(self, site: Site) -> nn.Module:
        return RmsNorm2d(site.channels) if len(site.sides) == 2 else ChannelRmsNorm(site.channels)

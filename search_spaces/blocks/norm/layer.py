"""Layer normalization."""

from timm.layers import LayerNorm2d
from torch import nn

from search_spaces.layers.channel_norms import ChannelLayerNorm
from search_spaces.parts import Part, part
from search_spaces.site import Site


@part("norm", "layer", source="Layer Normalization", sliced=True)
class LayerNorm(Part):
    """Each position over its channels, as ConvNeXt and vision transformers do."""

    def build(self, site: Site) -> nn.Module:
        return LayerNorm2d(site.channels) if len(site.sides) == 2 else ChannelLayerNorm(site.channels)

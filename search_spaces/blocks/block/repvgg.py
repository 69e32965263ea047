"""RepVGG's convolution."""

from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.conv_norm import even
from search_spaces.layers.rep_conv import rep_conv
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Site


@part("block", "repvgg", source="RepVGG: Making VGG-style ConvNets Great Again", sliced=True, sides=(1, 2))
class RepVGGBlock(Part):
    """A convolution, one of 1x1 and the input itself side by side, each with batch normalization; an activation.

    Deployed, they are one convolution. Channel attention, if any, comes before the activation.

    Since an activation follows, a block can't be added to a trained network.
    """

    kernel: int = size("kernel", default=3, grows=True)
    activation: Any = slot("activation", default="relu")
    channel_attention: Any = slot("channel_attention", default=None)

    def validate(self) -> None:
        if reason := even(self.kernel):
            raise SpaceError(reason, "repvgg.kernel")

    def parts_at(self, site: Site) -> list[Placed]:
        return [("channel_attention", self.channel_attention, site), ("activation", self.activation, site)]

    def build(self, site: Site) -> nn.Module:
        return rep_conv(self, site, site.channels, 1, identity=True)

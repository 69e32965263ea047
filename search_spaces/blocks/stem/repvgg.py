"""RepVGG's convolution as a stem."""

from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.conv_norm import even, shape_behind
from search_spaces.layers.rep_conv import rep_conv
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Shape, Site


@part("stem", "repvgg", source="RepVGG: Making VGG-style ConvNets Great Again", sliced=True, sides=(1, 2))
class RepVGGStem(Part):
    """A convolution, one of 1x1 beside it, each with batch normalization; an activation.

    Deployed, they are one convolution. Channel attention, if any, comes before the activation.
    `stride` 1 keeps the resolution.
    """

    kernel: int = size("kernel", default=3, grows=True)
    activation: Any = slot("activation", default="relu")
    channel_attention: Any = slot("channel_attention", default=None)
    stride: int = size("stride", default=2)

    def validate(self) -> None:
        if reason := even(self.kernel):
            raise SpaceError(reason, "repvgg.kernel")
        if self.stride not in (1, 2):
            raise SpaceError(f"must be 1 or 2, not {self.stride}", "repvgg.stride")

    def shape_after(self, site: Site) -> Shape:
        return shape_behind(site, site.leads_to, self.stride)

    def parts_at(self, site: Site) -> list[Placed]:
        after = site.at(self.shape_after(site))
        return [("channel_attention", self.channel_attention, after), ("activation", self.activation, after)]

    def build(self, site: Site) -> nn.Module:
        return rep_conv(self, site, site.leads_to, self.stride)

"""Depthwise convolution."""

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part, size
from search_spaces.site import Site


@part(
    "token_mixer",
    "depthwise_conv",
    source="A ConvNet for the 2020s",
    sliced=True,
    channelwise=True,
    identity=True,
    sides=2,
)
class DepthwiseConv(Part):
    """One filter per channel."""

    kernel: int = size("kernel", default=7, grows=True)

    def validate(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise SpaceError(f"must be odd and 1 or more, not {self.kernel}", "depthwise_conv.kernel")

    def build(self, site: Site) -> nn.Module:
        channels = site.channels
        return nn.Conv2d(channels, channels, self.kernel, padding=self.kernel // 2, groups=channels)

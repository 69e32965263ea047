"""Dilated depthwise convolution."""

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.by_sides import convolution
from search_spaces.parts import Part, part, size
from search_spaces.site import Site


@part(
    "token_mixer",
    "dilated_conv",
    source="ScaleCrafter: Tuning-free Higher-Resolution Visual Generation with Diffusion Models",
    sliced=True,
    channelwise=True,
    identity=True,
    sides=(1, 2),
)
class DilatedConv(Part):
    """One filter per channel whose taps are `dilation` positions apart: made for inputs that are so much larger."""

    kernel: int = size("kernel", default=7)
    dilation: int = 2

    def validate(self) -> None:
        if self.kernel < 3 or self.kernel % 2 == 0:
            raise SpaceError(f"must be odd and 3 or more, not {self.kernel}", "dilated_conv.kernel")
        if self.dilation < 2:
            raise SpaceError(
                f"must be 2 or more, not {self.dilation}; without one take a depthwise_conv", "dilated_conv.dilation"
            )

    def build(self, site: Site) -> nn.Module:
        channels, padding = site.channels, self.dilation * (self.kernel // 2)
        return convolution(
            *(len(site.sides), channels, channels, self.kernel),
            padding=padding,
            dilation=self.dilation,
            groups=channels,
        )

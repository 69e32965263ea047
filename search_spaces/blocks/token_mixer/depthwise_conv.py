"""Depthwise convolution."""

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.depthwise import depthwise, refused
from search_spaces.parts import Part, part, size
from search_spaces.site import Site


@part(
    "token_mixer",
    "depthwise_conv",
    source="A ConvNet for the 2020s",
    sliced=True,
    channelwise=True,
    identity=True,
    sides=(1, 2),
)
class DepthwiseConv(Part):
    """One filter per channel. `causal`, for sequences, it sees what comes before each position and itself."""

    kernel: int = size("kernel", default=7, grows=True)
    causal: bool = False

    def validate(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise SpaceError(f"must be odd and 1 or more, not {self.kernel}", "depthwise_conv.kernel")

    def accepts(self, site: Site) -> str | None:
        return refused(site, self.causal)

    def build(self, site: Site) -> nn.Module:
        return depthwise(site, self.kernel, self.causal)

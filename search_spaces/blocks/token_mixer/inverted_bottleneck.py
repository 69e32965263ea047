"""Inverted bottleneck."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.inverted_residual import inverted, inverted_branch, inverted_name, inverted_parts
from search_spaces.parts import Part, Placed, part, shared, size, slot
from search_spaces.site import Site


@part(
    "token_mixer",
    "inverted_bottleneck",
    source="MobileNetV2: Inverted Residuals and Linear Bottlenecks",
    sliced=True,
    sides=(1, 2),
)
class InvertedBottleneck(Part):
    """1x1 to `expansion` times the channels, depthwise convolution, 1x1 back without activation.

    It mixes channels, too, so a block of it needs no channel mixer. Its channel attention works on the expanded
    channels, as in "Searching for MobileNetV3"; an expansion of 1 leaves the first 1x1 layer out.
    Expanded channels are rounded to a multiple of `divisor`, but not to less than nine tenths.
    """

    kernel: int = size("kernel", default=3, grows=True)
    expansion: float = size("expansion", default=4, grows=True)
    norm: Any = slot("norm", default="batch")
    activation: Any = slot("activation", default="relu")
    channel_attention: Any = slot("channel_attention", default=None)
    divisor: int = shared(default=1)

    def validate(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise SpaceError(f"must be odd and 1 or more, not {self.kernel}", "inverted_bottleneck.kernel")
        if self.expansion < 1:
            raise SpaceError(f"must be 1 or more, not {self.expansion}", "inverted_bottleneck.expansion")
        if self.divisor < 1:
            raise SpaceError(f"must be 1 or more, not {self.divisor}", "inverted_bottleneck.divisor")

    def parts_at(self, site: Site) -> Iterator[Placed]:
        return inverted_parts(self, site, site)

    def weight_branch(self, site: Site) -> str:
        return inverted_branch(self, site)

    def weight_name(self, site: Site, name: str) -> str:
        return inverted_name(self, site, name)

    def build(self, site: Site) -> nn.Module:
        return inverted(self, site, site.channels, 1)

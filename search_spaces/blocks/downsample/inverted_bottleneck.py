"""Inverted bottleneck where a stage begins."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.conv_norm import shape_behind
from search_spaces.layers.inverted_residual import Skipped, inverted, inverted_branch, inverted_name, inverted_parts
from search_spaces.parts import Part, Placed, part, shared, size, slot
from search_spaces.site import Shape, Site


@part(
    "downsample",
    "inverted_bottleneck",
    source="MobileNetV2: Inverted Residuals and Linear Bottlenecks",
    sliced=True,
    sides=(1, 2),
)
class InvertedBottleneckDownsample(Part):
    """1x1 to `expansion` times the channels, depthwise convolution of the stride, 1x1 to the width without activation.

    `stride` 1 changes the channels alone, and has a shortcut where they stay the same. The rest is as
    in the token mixer of this name.
    """

    kernel: int = size("kernel", default=3, grows=True)
    expansion: float = size("expansion", default=4, grows=True)
    norm: Any = slot("norm", default="batch")
    activation: Any = slot("activation", default="relu")
    channel_attention: Any = slot("channel_attention", default=None)
    stride: int = size("stride", default=2)
    divisor: int = shared(default=8)

    def validate(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise SpaceError(f"must be odd and 1 or more, not {self.kernel}", "inverted_bottleneck.kernel")
        if self.expansion < 1:
            raise SpaceError(f"must be 1 or more, not {self.expansion}", "inverted_bottleneck.expansion")
        if self.stride not in (1, 2):
            raise SpaceError(f"must be 1 or 2, not {self.stride}", "inverted_bottleneck.stride")
        if self.divisor < 1:
            raise SpaceError(f"must be 1 or more, not {self.divisor}", "inverted_bottleneck.divisor")

    def shape_after(self, site: Site) -> Shape:
        return shape_behind(site, site.leads_to, self.stride)

    def parts_at(self, site: Site) -> Iterator[Placed]:
        return inverted_parts(self, site, site.at(self.shape_after(site)))

    def weight_branch(self, site: Site) -> str:
        return inverted_branch(self, site)

    def weight_name(self, site: Site, name: str) -> str:
        return inverted_name(self, site, name)

    def build(self, site: Site) -> nn.Module:
        layers = inverted(self, site, site.leads_to, self.stride)
        return Skipped(*layers) if self.shape_after(site) == site.shape and self.stride == 1 else layers

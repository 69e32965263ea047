"""Depthwise separable convolution where a stage begins."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.conv_norm import even, shape_behind
from search_spaces.layers.separable import separable, separable_parts
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Shape, Site


@part(
    "downsample",
    "depthwise_separable",
    source="MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    sliced=True,
    sides=(1, 2),
)
class DepthwiseSeparableDownsample(Part):
    """A depthwise convolution, then 1x1 to the width, each with a normalization and an activation.

    With hard swish, and channel attention between the two, they are those of "PP-LCNet: A Lightweight CPU Convolutional
    Neural Network". `stride` 1 changes the channels alone.
    """

    kernel: int = size("kernel", default=3, grows=True)
    norm: Any = slot("norm", default="batch")
    activation: Any = slot("activation", default="relu")
    channel_attention: Any = slot("channel_attention", default=None)
    stride: int = size("stride", default=2)

    def validate(self) -> None:
        if reason := even(self.kernel):
            raise SpaceError(reason, "depthwise_separable.kernel")
        if self.stride not in (1, 2):
            raise SpaceError(f"must be 1 or 2, not {self.stride}", "depthwise_separable.stride")

    def shape_after(self, site: Site) -> Shape:
        return shape_behind(site, site.leads_to, self.stride)

    def parts_at(self, site: Site) -> Iterator[Placed]:
        return separable_parts(self, site, site.at(self.shape_after(site)))

    def build(self, site: Site) -> nn.Module:
        return separable(self, site, site.leads_to, self.stride)

"""Depthwise separable convolution."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.conv_norm import even
from search_spaces.layers.separable import separable, separable_parts
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Site


@part(
    "block",
    "depthwise_separable",
    source="MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    sliced=True,
    sides=(1, 2),
)
class DepthwiseSeparableBlock(Part):
    """A depthwise convolution, then 1x1, each with a normalization and an activation; there is no shortcut.

    With hard swish, and channel attention between the two, they are those of "PP-LCNet: A Lightweight CPU Convolutional
    Neural Network". Without a shortcut, a block can't be added to a trained network.
    """

    kernel: int = size("kernel", default=3, grows=True)
    norm: Any = slot("norm", default="batch")
    activation: Any = slot("activation", default="relu")
    channel_attention: Any = slot("channel_attention", default=None)

    def validate(self) -> None:
        if reason := even(self.kernel):
            raise SpaceError(reason, "depthwise_separable.kernel")

    def parts_at(self, site: Site) -> Iterator[Placed]:
        return separable_parts(self, site, site)

    def build(self, site: Site) -> nn.Module:
        return separable(self, site, site.channels, 1)

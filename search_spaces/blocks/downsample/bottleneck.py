"""The bottleneck block of ResNet where a stage begins."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.conv_norm import even, shape_behind
from search_spaces.layers.residual_convs import bottleneck, hidden, projected
from search_spaces.parts import Part, Placed, part, shared, size, slot
from search_spaces.site import Shape, Site

SHORTCUTS = ("conv", "pool")
"""A 1x1 convolution of the stride, or one behind the average of each 2x2 square (ResNet-D)."""


@part("downsample", "bottleneck", source="Deep Residual Learning for Image Recognition", sliced=True, sides=(1, 2))
class BottleneckDownsample(Part):
    """1x1, convolution, 1x1 to the width, of `expansion` times as many channels inside, beside a 1x1 shortcut.

    `stride` 1 changes the channels alone. The `shortcut` "pool" is that of "Bag of Tricks for Image Classification with
    Convolutional Neural Networks".
    """

    kernel: int = size("kernel", default=3, grows=True)
    expansion: float = size("expansion", default=0.25, grows=True)
    norm: Any = slot("norm", default="batch")
    activation: Any = slot("activation", default="relu")
    channel_attention: Any = slot("channel_attention", default=None)
    stride: int = size("stride", default=2)
    shortcut: str = shared(default="conv")

    def validate(self) -> None:
        if reason := even(self.kernel):
            raise SpaceError(reason, "bottleneck.kernel")
        if self.expansion <= 0:
            raise SpaceError(f"must be above 0, not {self.expansion}", "bottleneck.expansion")
        if self.stride not in (1, 2):
            raise SpaceError(f"must be 1 or 2, not {self.stride}", "bottleneck.stride")
        if self.shortcut not in SHORTCUTS:
            raise SpaceError(f"must be {' or '.join(SHORTCUTS)}, not {self.shortcut!r}", "bottleneck.shortcut")

    def shape_after(self, site: Site) -> Shape:
        return shape_behind(site, site.leads_to, self.stride)

    def parts_at(self, site: Site) -> Iterator[Placed]:
        after = site.at(self.shape_after(site))
        inner = after.wide(hidden(self, site.leads_to))
        yield "norm", self.norm, inner
        yield "norm", self.norm, after
        yield "activation", self.activation, inner
        yield "channel_attention", self.channel_attention, after

    def build(self, site: Site) -> nn.Module:
        branch = bottleneck(self, site, site.leads_to, self.stride)
        return projected(self, site, branch, self.shortcut == "pool")

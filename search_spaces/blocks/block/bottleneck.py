"""The bottleneck block of ResNet."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.conv_norm import even
from search_spaces.layers.residual_convs import activated, bottleneck, hidden
from search_spaces.layers.shortcut_sum import ShortcutSum
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Site


@part("block", "bottleneck", source="Deep Residual Learning for Image Recognition", sliced=True, sides=(1, 2))
class BottleneckBlock(Part):
    """1x1, convolution, 1x1, of `expansion` times the width inside, added to the input; the activation comes last.

    Each convolution has a normalization. Channel attention works at the end of the branch. Since an activation follows
    the sum, a block can't be added to a trained network without a change of what it computes.
    """

    kernel: int = size("kernel", default=3, grows=True)
    expansion: float = size("expansion", default=0.25, grows=True)
    norm: Any = slot("norm", default="batch")
    activation: Any = slot("activation", default="relu")
    channel_attention: Any = slot("channel_attention", default=None)

    def validate(self) -> None:
        if reason := even(self.kernel):
            raise SpaceError(reason, "bottleneck.kernel")
        if self.expansion <= 0:
            raise SpaceError(f"must be above 0, not {self.expansion}", "bottleneck.expansion")

    def parts_at(self, site: Site) -> Iterator[Placed]:
        inner = site.wide(hidden(self, site.channels))
        yield "norm", self.norm, inner
        yield "norm", self.norm, site
        yield "activation", self.activation, inner
        yield "channel_attention", self.channel_attention, site

    def build(self, site: Site) -> nn.Module:
        branch = bottleneck(self, site, site.channels, 1)
        return ShortcutSum(branch, nn.Identity(), activated(self, site))

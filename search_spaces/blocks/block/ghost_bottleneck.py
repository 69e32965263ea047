"""GhostNet's bottleneck."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.conv_norm import even
from search_spaces.layers.ghost import ghost_bottleneck, ghost_parts
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Site


@part("block", "ghost_bottleneck", source="GhostNet: More Features from Cheap Operations", sliced=True, sides=(1, 2))
class GhostBottleneckBlock(Part):
    """Two ghost modules, `expansion` times the input's channels between them, added to the input.

    A ghost module makes half of its channels by 1x1, and the others of these by a depthwise convolution of
    `cheap_kernel`.
    """

    expansion: float = size("expansion", default=3)
    cheap_kernel: int = size("kernel", default=3, grows=True)
    norm: Any = slot("norm", default="batch")
    activation: Any = slot("activation", default="relu")
    channel_attention: Any = slot("channel_attention", default=None)

    def validate(self) -> None:
        for field in ("cheap_kernel",):
            if reason := even(getattr(self, field)):
                raise SpaceError(reason, f"ghost_bottleneck.{field}")
        if self.expansion <= 0:
            raise SpaceError(f"must be above 0, not {self.expansion}", "ghost_bottleneck.expansion")

    def parts_at(self, site: Site) -> Iterator[Placed]:
        return ghost_parts(self, site, site.channels, 1)

    def build(self, site: Site) -> nn.Module:
        return ghost_bottleneck(self, site, site.channels, 1)

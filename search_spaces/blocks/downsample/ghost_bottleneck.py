"""GhostNet's bottleneck where a stage begins."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.conv_norm import even, shape_behind
from search_spaces.layers.ghost import ghost_parts, projected_ghost
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Shape, Site


@part(
    "downsample", "ghost_bottleneck", source="GhostNet: More Features from Cheap Operations", sliced=True, sides=(1, 2)
)
class GhostBottleneckDownsample(Part):
    """Two ghost modules, `expansion` times the input's channels between them, beside a shortcut.

    A ghost module makes half of its channels by 1x1, and the others of these by a depthwise convolution of
    `cheap_kernel`. Where the stride is above 1, a depthwise convolution of `kernel` is between the two modules, and one
    in the shortcut in any case. `stride` 1 changes the channels alone.
    """

    kernel: int = size("kernel", default=3, grows=True)
    expansion: float = size("expansion", default=3)
    cheap_kernel: int = size("kernel", default=3, grows=True)
    norm: Any = slot("norm", default="batch")
    activation: Any = slot("activation", default="relu")
    channel_attention: Any = slot("channel_attention", default=None)
    stride: int = size("stride", default=2)

    def validate(self) -> None:
        for field in ("kernel", "cheap_kernel"):
            if reason := even(getattr(self, field)):
                raise SpaceError(reason, f"ghost_bottleneck.{field}")
        if self.expansion <= 0:
            raise SpaceError(f"must be above 0, not {self.expansion}", "ghost_bottleneck.expansion")
        if self.stride not in (1, 2):
            raise SpaceError(f"must be 1 or 2, not {self.stride}", "ghost_bottleneck.stride")

    def shape_after(self, site: Site) -> Shape:
        return shape_behind(site, site.leads_to, self.stride)

    def parts_at(self, site: Site) -> Iterator[Placed]:
        return ghost_parts(self, site, site.leads_to, self.stride)

    def build(self, site: Site) -> nn.Module:
        return projected_ghost(self, site)

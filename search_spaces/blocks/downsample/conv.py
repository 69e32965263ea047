"""Downsampling by a convolution."""

from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.by_sides import convolution
from search_spaces.layers.conv_norm import shape_behind
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Shape, Site


@part("downsample", "conv", source="Striving for Simplicity: The All Convolutional Net", sliced=True, sides=(1, 2))
class ConvDownsample(Part):
    """A convolution of stride 2 and a normalization: kernel 3 overlaps, 2 (as in ConvNeXt) doesn't.

    `norm_first`, the normalization comes before it (as there), and it has a bias. `stride` 1, of kernel 3, changes the
    channels alone.
    """

    kernel: int = size("kernel", default=3, shared=False)
    norm: Any = slot("norm", default="batch")
    norm_first: bool = False
    stride: int = size("stride", default=2)

    def validate(self) -> None:
        if self.kernel not in (2, 3):
            raise SpaceError(f"must be 2 or 3, not {self.kernel}", "conv.kernel")
        if self.stride not in (1, 2):
            raise SpaceError(f"must be 1 or 2, not {self.stride}", "conv.stride")
        if self.kernel == 2 and self.stride == 1:
            raise SpaceError("must be 3 where the stride is 1", "conv.kernel")

    def accepts(self, site: Site) -> str | None:
        if self.kernel == 3 or min(site.sides) >= 2:
            return None
        return f"a map of {'x'.join(map(str, site.sides))} can't be halved; use fewer stages"

    def shape_after(self, site: Site) -> Shape:
        if self.kernel == 3:
            return shape_behind(site, site.leads_to, self.stride)
        return (site.leads_to, *(side // 2 for side in site.sides))

    def parts_at(self, site: Site) -> list[Placed]:
        return [("norm", self.norm, self._normed(site))]

    def _normed(self, site: Site) -> Site:
        """Where it is normalized."""
        return site.at(site.shape if self.norm_first else self.shape_after(site))

    def build(self, site: Site) -> nn.Module:
        padding = self.kernel // 2 if self.kernel == 3 else 0
        sides, bias = len(site.sides), self.norm is None or self.norm_first
        conv = convolution(sides, site.channels, site.leads_to, self.kernel, self.stride, padding, bias=bias)
        norm = [] if self.norm is None else [self.norm.build(self._normed(site))]
        return nn.Sequential(*norm, conv) if self.norm_first else nn.Sequential(conv, *norm)

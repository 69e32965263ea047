"""Downsampling by a convolution."""

from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.by_sides import convolution
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Shape, Site


@part("downsample", "conv", source="Striving for Simplicity: The All Convolutional Net", sliced=True, sides=(1, 2))
class ConvDownsample(Part):
    """A convolution of stride 2 and a normalization: kernel 3 overlaps, 2 (as in ConvNeXt) doesn't."""

    kernel: int = size("kernel", default=3, shared=False)
    norm: Any = slot("norm", default="batch")

    def validate(self) -> None:
        if self.kernel not in (2, 3):
            raise SpaceError(f"must be 2 or 3, not {self.kernel}", "conv.kernel")

    def accepts(self, site: Site) -> str | None:
        if self.kernel == 3 or min(site.sides) >= 2:
            return None
        return f"a map of {'x'.join(map(str, site.sides))} can't be halved; use fewer stages"

    def shape_after(self, site: Site) -> Shape:
        rest = self.kernel - 2
        return (site.leads_to, *((side + rest) // 2 for side in site.sides))

    def parts_at(self, site: Site) -> list[Placed]:
        return [("norm", self.norm, site.at(self.shape_after(site)))]

    def build(self, site: Site) -> nn.Module:
        padding = self.kernel // 2 if self.kernel == 3 else 0
        sides, bias = len(site.sides), self.norm is None
        conv = convolution(sides, site.channels, site.leads_to, self.kernel, 2, padding, bias=bias)
        return nn.Sequential(conv, *([] if self.norm is None else [self.norm.build(site.at(self.shape_after(site)))]))

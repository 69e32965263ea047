"""Downsampling by pooling."""

from typing import Any

from torch import nn

from search_spaces.layers.by_sides import MEANS, pointwise
from search_spaces.parts import Part, Placed, part, slot
from search_spaces.site import Shape, Site


@part(
    "downsample",
    "pool",
    source="Bag of Tricks for Image Classification with Convolutional Neural Networks",
    sliced=True,
    sides=(1, 2),
)
class PoolDownsample(Part):
    """The average of each 2x2 square, a 1x1 convolution and a normalization (the shortcut of ResNet-D).

    Of sequences, the average of two positions each.
    """

    norm: Any = slot("norm", default="batch")

    def accepts(self, site: Site) -> str | None:
        if min(site.sides) >= 2:
            return None
        return f"a map of {'x'.join(map(str, site.sides))} can't be halved; use fewer stages"

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to, *(side // 2 for side in site.sides))

    def parts_at(self, site: Site) -> list[Placed]:
        return [("norm", self.norm, site.at(self.shape_after(site)))]

    def build(self, site: Site) -> nn.Module:
        sides = len(site.sides)
        conv = pointwise(sides, site.channels, site.leads_to, bias=self.norm is None)
        norm = [] if self.norm is None else [self.norm.build(site.at(self.shape_after(site)))]
        return nn.Sequential(MEANS[sides - 1](2), conv, *norm)

"""A convolutional stem."""

from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.by_sides import convolution
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Shape, Site


@part(
    "stem",
    "conv3x3",
    source="Very Deep Convolutional Networks for Large-Scale Image Recognition",
    sliced=True,
    sides=(1, 2),
)
class Conv3x3Stem(Part):
    """A 3x3 convolution, a normalization and an activation; `stride` 1 for small images.

    Of sequences, a convolution of 3 positions.
    """

    stride: int = size("stride", default=2)
    norm: Any = slot("norm", default="batch")
    activation: Any = slot("activation", default="relu")

    def validate(self) -> None:
        if self.stride < 1:
            raise SpaceError(f"must be 1 or more, not {self.stride}", "conv3x3.stride")

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to, *((side - 1) // self.stride + 1 for side in site.sides))

    def parts_at(self, site: Site) -> list[Placed]:
        after = site.at(self.shape_after(site))
        return [("norm", self.norm, after), ("activation", self.activation, after)]

    def build(self, site: Site) -> nn.Module:
        after = site.at(self.shape_after(site))
        sides, bias = len(site.sides), self.norm is None
        conv = convolution(sides, site.channels, site.leads_to, 3, self.stride, 1, bias=bias)
        norm = [] if self.norm is None else [self.norm.build(after)]
        activation = [] if self.activation is None else [self.activation.build(after)]
        return nn.Sequential(conv, *norm, *activation)

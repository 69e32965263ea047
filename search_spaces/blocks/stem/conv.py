"""A convolutional stem of any kernel, and pooling."""

from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.conv_norm import conv_norm, even, shape_behind
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Shape, Site

POOLS = (nn.MaxPool1d, nn.MaxPool2d)
"""By the number of a map's sides, less one."""


@part("stem", "conv", source="Deep Residual Learning for Image Recognition", sliced=True, sides=(1, 2))
class ConvStem(Part):
    """A convolution, a normalization and an activation, then the largest of each 3x3 square, `pool` positions apart.

    A `pool` of 1 leaves the pooling out. ResNet has kernel 7, stride 2, pool 2, of small pictures kernel 3 alone.
    """

    kernel: int = size("kernel", default=7, grows=True)
    stride: int = size("stride", default=2)
    pool: int = size("stride", default=2)
    norm: Any = slot("norm", default="batch")
    activation: Any = slot("activation", default="relu")

    def validate(self) -> None:
        if reason := even(self.kernel):
            raise SpaceError(reason, "conv.kernel")
        for field in ("stride", "pool"):
            if getattr(self, field) < 1:
                raise SpaceError(f"must be 1 or more, not {getattr(self, field)}", f"conv.{field}")

    def shape_after(self, site: Site) -> Shape:
        after = site.at(shape_behind(site, site.leads_to, self.stride))
        return shape_behind(after, site.leads_to, self.pool)

    def parts_at(self, site: Site) -> list[Placed]:
        after = site.at(shape_behind(site, site.leads_to, self.stride))
        return [("norm", self.norm, after), ("activation", self.activation, after)]

    def build(self, site: Site) -> nn.Module:
        layers = conv_norm(site, site.leads_to, self.kernel, self.stride, norm=self.norm, activation=self.activation)
        pool = [] if self.pool == 1 else [POOLS[len(site.sides) - 1](3, self.pool, 1)]
        return nn.Sequential(*layers, *pool)

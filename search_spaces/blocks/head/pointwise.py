"""A head of 1x1 convolutions before and behind the pooling, as small networks for phones have."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.by_sides import POOLS, pointwise
from search_spaces.layers.conv_norm import conv_norm
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Shape, Site


@part("head", "pointwise", source="Searching for MobileNetV3", sliced=True, sides=(1, 2))
class PointwiseHead(Part):
    """1x1 to `before` channels, normalized; the average over all positions; 1x1 to `behind` channels; a linear layer.

    An activation follows each 1x1. 0 leaves one out: of LCNet the first, of EfficientNet the second.
    """

    before: int = size("width", default=0)
    behind: int = size("width", default=1024)
    norm: Any = slot("norm", default="batch")
    activation: Any = slot("activation", default="hard_swish")

    def validate(self) -> None:
        for field in ("before", "behind"):
            if getattr(self, field) < 0:
                raise SpaceError(f"must be 0 or more, not {getattr(self, field)}", f"pointwise.{field}")

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to,)

    def weight_branch(self, site: Site) -> str:
        """What is left out; the layers behind it have other inputs then."""
        return ",".join(name for name in ("before", "behind") if not getattr(self, name))

    def parts_at(self, site: Site) -> Iterator[Placed]:
        if self.before:
            yield "norm", self.norm, site.wide(self.before)
        for channels in filter(None, (self.before, self.behind)):
            yield "activation", self.activation, site.wide(channels)

    def build(self, site: Site) -> nn.Module:
        sides, channels, layers = len(site.sides), site.channels, []
        if self.before:
            layers.append(conv_norm(site, self.before, norm=self.norm, activation=self.activation))
            channels = self.before
        layers.append(POOLS[sides - 1](1))
        if self.behind:
            layers.append(pointwise(sides, channels, self.behind))
            layers += [] if self.activation is None else [self.activation.build(site.wide(self.behind))]
            channels = self.behind
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels, site.leads_to))

"""Global average pooling and a linear layer."""

from typing import Any

from torch import nn

from search_spaces.layers.by_sides import POOLS
from search_spaces.parts import Part, Placed, part, slot
from search_spaces.site import Shape, Site


@part("head", "average_pool", source="Network In Network", sliced=True, sides=(0, 1, 2))
class AveragePoolHead(Part):
    """A normalization (or none), the average over all positions (where there are any), a linear layer."""

    norm: Any = slot("norm", default="batch")

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to,)

    def parts_at(self, site: Site) -> list[Placed]:
        return [("norm", self.norm, site.at(site.shape))]

    def build(self, site: Site) -> nn.Module:
        norm = [] if self.norm is None else [self.norm.build(site.at(site.shape))]
        pool = [] if not site.sides else [POOLS[len(site.sides) - 1](1), nn.Flatten()]
        return nn.Sequential(*norm, *pool, nn.Linear(site.channels, site.leads_to))

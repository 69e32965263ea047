"""Global average pooling and a linear layer."""

from typing import Any

from torch import nn

from search_spaces.layers.by_sides import POOLS
from search_spaces.parts import Part, Placed, part, shared, slot
from search_spaces.site import Shape, Site


@part("head", "average_pool", source="Network In Network", sliced=True, sides=(0, 1, 2))
class AveragePoolHead(Part):
    """A normalization (or none), the average over all positions (where there are any), a linear layer.

    `pooled_first`, the average is normalized, as in ConvNeXt.
    """

    norm: Any = slot("norm", default="batch")
    pooled_first: bool = shared(default=False)

    def accepts(self, site: Site) -> str | None:
        batch = self.norm is not None and self.norm.name == "batch"
        return (
            "the average of an example can't be normalized over a batch of one" if batch and self.pooled_first else None
        )

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to,)

    def parts_at(self, site: Site) -> list[Placed]:
        return [("norm", self.norm, self._normed(site))]

    def _normed(self, site: Site) -> Site:
        """Where it is normalized."""
        return site.at((site.channels, *[1] * len(site.sides)) if self.pooled_first else site.shape)

    def build(self, site: Site) -> nn.Module:
        norm = [] if self.norm is None else [self.norm.build(self._normed(site))]
        pool = [] if not site.sides else [POOLS[len(site.sides) - 1](1)]
        flat = [nn.Flatten()] if site.sides else []
        first = [*pool, *norm] if self.pooled_first else [*norm, *pool]
        return nn.Sequential(*first, *flat, nn.Linear(site.channels, site.leads_to))

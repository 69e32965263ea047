"""A stem of tables' rows."""

from typing import Any

from torch import nn

from search_spaces.parts import Part, Placed, part, slot
from search_spaces.site import Shape, Site


@part(
    "stem",
    "linear",
    source="Revisiting Deep Learning Models for Tabular Data",
    sliced=True,
    sides=0,
)
class LinearStem(Part):
    """A linear layer of all columns, as before the publication's ResNet; a normalization and an activation, if any."""

    norm: Any = slot("norm", default=None)
    activation: Any = slot("activation", default=None)

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to,)

    def parts_at(self, site: Site) -> list[Placed]:
        after = site.at(self.shape_after(site))
        return [("norm", self.norm, after), ("activation", self.activation, after)]

    def build(self, site: Site) -> nn.Module:
        after = site.at(self.shape_after(site))
        inner = [part.build(after) for part in (self.norm, self.activation) if part is not None]
        return nn.Sequential(nn.Linear(site.channels, site.leads_to, bias=self.norm is None), *inner)

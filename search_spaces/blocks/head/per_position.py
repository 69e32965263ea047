"""A head that gives outputs at each position of the last map."""

from typing import Any

from torch import nn

from search_spaces.layers.by_sides import pointwise
from search_spaces.parts import Part, Placed, part, slot
from search_spaces.site import Shape, Site


@part(
    "head",
    "per_position",
    source="Attention Is All You Need",
    sliced=True,
    sides=(1, 2),
)
class PerPositionHead(Part):
    """A normalization (or none) and a linear layer of the channels at each position: the next token of each, say.

    A map (channels, *sides) becomes (outputs, *sides). The normalization must not look at other positions where later
    ones are to be predicted: layer and rms don't.
    """

    norm: Any = slot("norm", default="layer")

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to, *site.sides)

    def parts_at(self, site: Site) -> list[Placed]:
        return [("norm", self.norm, site.at(site.shape))]

    def build(self, site: Site) -> nn.Module:
        norm = [] if self.norm is None else [self.norm.build(site.at(site.shape))]
        return nn.Sequential(*norm, pointwise(len(site.sides), site.channels, site.leads_to))

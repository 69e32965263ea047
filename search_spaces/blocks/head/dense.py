"""A head for dense prediction: the last map's scores at the inputs' resolution."""

from typing import Any

from torch import nn

from search_spaces.layers.to_inputs import upsampling, without_inputs
from search_spaces.parts import Part, Placed, part, slot
from search_spaces.site import Shape, Site


@part("head", "dense", source="Fully Convolutional Networks for Semantic Segmentation", sliced=True, sides=2)
class DenseHead(Part):
    """A normalization (or none), scores by a 1x1 convolution, bilinear upsampling: the publication's FCN-32s.

    A map (channels, high, wide) becomes (outputs, height, width) of the network's inputs, whatever their sides.
    """

    norm: Any = slot("norm", default="batch")

    def accepts(self, site: Site) -> str | None:
        return without_inputs(site)

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to, *site.inputs[1:])

    def parts_at(self, site: Site) -> list[Placed]:
        return [("norm", self.norm, site.at(site.shape))]

    def build(self, site: Site) -> nn.Module:
        norm = [] if self.norm is None else [self.norm.build(site.at(site.shape))]
        score = nn.Conv2d(site.channels, site.leads_to, 1)
        return nn.Sequential(*norm, score, upsampling(site.sides, site.inputs[1:]))

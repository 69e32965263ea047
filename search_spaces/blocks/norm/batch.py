"""Batch normalization."""

from torch import nn

from search_spaces.layers.by_sides import BATCH_NORMS
from search_spaces.parts import Part, part
from search_spaces.site import Site


@part(
    "norm",
    "batch",
    source="Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
    sliced=True,
    sides=(0, 1, 2),
)
class BatchNorm(Part):
    """Each channel over the batch and all positions; folded into the layer before it on deployment."""

    def build(self, site: Site) -> nn.Module:
        return BATCH_NORMS[len(site.sides)](site.channels)

"""The Gaussian error linear unit."""

from torch import nn

from search_spaces.parts import Part, part
from search_spaces.site import Site


@part("activation", "gelu", source="Gaussian Error Linear Units (GELUs)", sliced=True)
class GELU(Part):
    """x Φ(x), with the exact normal distribution function."""

    def build(self, site: Site) -> nn.Module:
        return nn.GELU()

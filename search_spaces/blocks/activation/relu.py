"""The rectified linear unit."""

from torch import nn

from search_spaces.parts import Part, part
from search_spaces.site import Site


@part("activation", "relu", source="Rectified Linear Units Improve Restricted Boltzmann Machines", sliced=True)
class ReLU(Part):
    """max(x, 0)."""

    def build(self, site: Site) -> nn.Module:
        return nn.ReLU()

"""The pooling of a cell."""

from torch import nn

from search_spaces.parts import Part, part
from search_spaces.site import Site


@part(
    "cell_operation",
    "avg_pool_3x3",
    source="NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search",
    sliced=True,
    sides=2,
)
class AveragePool3x3(Part):
    """The average of each 3x3 neighbourhood, padding not counted."""

    def build(self, site: Site) -> nn.Module:
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False)

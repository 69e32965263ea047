"""The pointwise convolution of a cell."""

from torch import nn

from search_spaces.layers.relu_conv_norm import relu_conv_norm
from search_spaces.parts import Part, part
from search_spaces.site import Site


@part(
    "cell_operation",
    "nor_conv_1x1",
    source="NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search",
    sliced=True,
    sides=2,
)
class NormedConv1x1(Part):
    """ReLU, 1x1 convolution, batch normalization."""

    def build(self, site: Site) -> nn.Module:
        return relu_conv_norm(site.channels, site.channels, 1)

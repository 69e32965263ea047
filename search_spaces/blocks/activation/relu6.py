"""The rectified linear unit that is cut off at 6."""

from torch import nn

from search_spaces.declarations import keeps_zeros
from search_spaces.parts import Part, part
from search_spaces.site import Site

keeps_zeros(nn.ReLU6)


@part("activation", "relu6", source="MobileNetV2: Inverted Residuals and Linear Bottlenecks", sliced=True)
class ReLU6(Part):
    """min(max(x, 0), 6): bounded, so that few bits suffice for it."""

    def build(self, site: Site) -> nn.Module:
        return nn.ReLU6()

"""Hard swish."""

from torch import nn

from search_spaces.parts import Part, part
from search_spaces.site import Site


@part("activation", "hard_swish", source="Searching for MobileNetV3", sliced=True)
class HardSwish(Part):
    """x min(max(x + 3, 0), 6) / 6: swish without an exponential, cheap on phones and when quantized."""

    def build(self, site: Site) -> nn.Module:
        return nn.Hardswish()

"""Layer normalization."""

from search_spaces.blocks import LayerNorm
from search_spaces.testing import PartConformance


class TestLayerNorm(PartConformance):
    cases = [(LayerNorm(), (16, 8, 8))]

    def reference(self, part, site, module, x):
        """Over the channels of each position, whatever the other positions and examples are."""
        centred = x - x.mean(1, keepdim=True)
        normalized = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        return normalized * module.weight[:, None, None] + module.bias[:, None, None]

"""Layer normalization."""

from search_spaces.blocks import LayerNorm
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import per_channel


class TestLayerNorm(PartConformance):
    cases = [(LayerNorm(), (16, 8, 8)), (LayerNorm(), (16, 9)), (LayerNorm(), (16,))]

    def reference(self, part, site, module, x):
        """Over the channels of each position, whatever the other positions and examples are."""
        centred = x - x.mean(1, keepdim=True)
        normalized = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        return normalized * per_channel(module.weight, x) + per_channel(module.bias, x)

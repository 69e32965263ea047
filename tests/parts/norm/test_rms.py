"""Root mean square normalization."""

from search_spaces.blocks import RMSNorm
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import per_channel


class TestRMSNorm(PartConformance):
    cases = [(RMSNorm(), (16, 8, 8)), (RMSNorm(), (16, 9)), (RMSNorm(), (16,))]

    def reference(self, part, site, module, x):
        """Over the channels of each position, which keep their mean."""
        assert [name for name, _ in module.named_parameters()] == ["weight"]
        return x / (x.square().mean(1, keepdim=True) + 1e-6).sqrt() * per_channel(module.weight, x)

"""Batch normalization."""

import torch

from search_spaces.blocks import BatchNorm
from search_spaces.site import Site
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import per_channel


class TestBatchNorm(PartConformance):
    cases = [(BatchNorm(), (16, 8, 8)), (BatchNorm(), (16, 9)), (BatchNorm(), (16,))]

    def reference(self, part, site, module, x):
        """By the statistics that training gathered."""
        mean, variance, weight, bias = (
            per_channel(tensor, x) for tensor in (module.running_mean, module.running_var, module.weight, module.bias)
        )
        return (x - mean) / (variance + 1e-5).sqrt() * weight + bias

    def test_trains_by_the_statistics_of_the_batch(self):
        """Each channel over the batch and all positions, while moving averages of them are gathered."""
        module = BatchNorm().build(Site((4, 3, 5))).double()
        x = 2 + 3 * torch.randn(6, 4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        expected = (x - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
        torch.testing.assert_close(module(x), expected)
        torch.testing.assert_close(module.running_mean, 0.1 * mean)
        torch.testing.assert_close(module.running_var, 0.9 + 0.1 * x.var((0, 2, 3)))

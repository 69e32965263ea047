"""The pooling of a cell."""

import torch
from torch.nn import functional

from search_spaces.blocks import AveragePool3x3
from search_spaces.testing import PartConformance


class TestAveragePool3x3(PartConformance):
    cases = [(AveragePool3x3(), (16, 8, 8))]

    def reference(self, part, site, module, x):
        """The sum over each neighbourhood by the number of positions in it that there are: 9, 6 or 4."""
        ones = torch.ones(1, 1, 3, 3, dtype=x.dtype)
        total = functional.conv2d(x.flatten(0, 1)[:, None], ones, padding=1).view_as(x)
        return total / functional.conv2d(torch.ones_like(x[:1, :1]), ones, padding=1)

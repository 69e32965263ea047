"""Pooling as a token mixer."""

import torch
from torch.nn import functional

from search_spaces.blocks import Pooling
from search_spaces.testing import PartConformance


class TestPooling(PartConformance):
    cases = [(Pooling(), (16, 8, 8)), (Pooling(kernel=5), (16, 5, 7))]
    wrong = [(lambda: Pooling(kernel=1), "pool.kernel")]

    def reference(self, part, site, module, x):
        """The mean over the positions of each neighbourhood that there are, less the position itself."""
        ones = torch.ones(1, 1, part.kernel, part.kernel, dtype=x.dtype)
        total = functional.conv2d(x.flatten(0, 1)[:, None], ones, padding=part.kernel // 2).view_as(x)
        return total / functional.conv2d(torch.ones_like(x[:1, :1]), ones, padding=part.kernel // 2) - x

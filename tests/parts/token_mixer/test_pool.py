"""Pooling as a token mixer."""

import torch

from search_spaces.blocks import Pooling
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import convolved


class TestPooling(PartConformance):
    cases = [(Pooling(), (16, 8, 8)), (Pooling(kernel=5), (16, 5, 7)), (Pooling(5), (16, 9))]
    wrong = [(lambda: Pooling(kernel=1), "pool.kernel")]

    def reference(self, part, site, module, x):
        """The mean over the positions of each neighbourhood that there are, less the position itself."""
        ones = torch.ones(site.channels, 1, *[part.kernel] * len(site.sides), dtype=x.dtype)
        total, count = (convolved(y, ones, part.kernel // 2, groups=site.channels) for y in (x, torch.ones_like(x)))
        return total / count - x

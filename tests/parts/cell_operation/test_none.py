"""The edge of a cell that there is not."""

import torch

from search_spaces.blocks import ZeroOperation
from search_spaces.testing import PartConformance


class TestZeroOperation(PartConformance):
    cases = [(ZeroOperation(), (16, 8, 8))]

    def reference(self, part, site, module, x):
        return torch.zeros_like(x)

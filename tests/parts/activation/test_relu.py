"""The rectified linear unit."""

import torch

from search_spaces.blocks import ReLU
from search_spaces.testing import PartConformance


class TestReLU(PartConformance):
    cases = [(ReLU(), (16, 8, 8))]

    def reference(self, part, site, module, x):
        return torch.where(x > 0, x, 0)

"""Hard swish."""

import torch

from search_spaces.blocks import HardSwish
from search_spaces.testing import PartConformance


class TestHardSwish(PartConformance):
    cases = [(HardSwish(), (16, 8, 8))]

    def reference(self, part, site, module, x):
        return torch.where(x <= -3, 0, torch.where(x >= 3, x, x * (x + 3) / 6))

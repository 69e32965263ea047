"""The rectified linear unit."""

import torch

from search_spaces.blocks import ReLU
from search_spaces.site import Site
from search_spaces.testing import PartConformance


class TestReLU(PartConformance):
    cases = [(ReLU(), (16, 8, 8))]

    def reference(self, part, site, module, x):
        return torch.where(x > 0, x, 0)

    def test_has_no_upper_limit(self):
        x = torch.tensor([[-1e6, 1e6]])
        assert ReLU().build(Site((2,)))(x).tolist() == [[0, 1e6]]

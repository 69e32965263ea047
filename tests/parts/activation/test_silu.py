"""The sigmoid linear unit."""

from search_spaces.blocks import SiLU
from search_spaces.testing import PartConformance


class TestSiLU(PartConformance):
    cases = [(SiLU(), (16, 8, 8))]

    def reference(self, part, site, module, x):
        return x / (1 + (-x).exp())

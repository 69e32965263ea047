"""The rectified linear unit that is cut off at 6."""

from search_spaces.blocks import ReLU6
from search_spaces.testing import PartConformance


class TestReLU6(PartConformance):
    cases = [(ReLU6(), (16, 8, 8)), (ReLU6(), (16, 9))]

    def reference(self, part, site, module, x):
        """What is negative becomes 0, what is above 6 becomes 6; multiplied by 8, some of the inputs are."""
        assert float(module(8 * x).max()) == 6
        return x * (x > 0) - (x - 6) * (x > 6)

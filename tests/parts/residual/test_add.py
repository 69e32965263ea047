"""The plain residual connection."""

from search_spaces.blocks import Add
from search_spaces.testing import PartConformance


class TestAdd(PartConformance):
    cases = [(Add(), (16, 8, 8)), (Add(), (16, 9)), (Add(), (16,))]

    def reference(self, part, site, module, x):
        """The branch under test is the map from right to left."""
        return x + x.flip(-1)

"""Learned absolute positions."""

from search_spaces.blocks import AbsoluteEncoding
from search_spaces.testing import PartConformance


class TestAbsoluteEncoding(PartConformance):
    cases = [(AbsoluteEncoding(), (16, 8, 8)), (AbsoluteEncoding(), (16, 5, 7)), (AbsoluteEncoding(), (16, 9))]

    def reference(self, part, site, module, x):
        """One vector per position, for all examples, whatever is there."""
        assert module.positions.shape == (1, *site.shape)
        return x + module.positions

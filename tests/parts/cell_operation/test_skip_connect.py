"""The edge of a cell that passes its input on."""

from search_spaces.blocks import SkipConnection
from search_spaces.testing import PartConformance


class TestSkipConnection(PartConformance):
    cases = [(SkipConnection(), (16, 8, 8))]

    def reference(self, part, site, module, x):
        return x

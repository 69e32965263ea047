"""A stem of tables' rows."""

from search_spaces.blocks import LinearStem
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import map_of, rebuilt


class TestLinearStem(PartConformance):
    cases = [(LinearStem(), (5,)), (LinearStem("batch", "relu"), (5,)), (LinearStem("layer"), (1,))]
    refused = [(LinearStem(), (5, 8)), (LinearStem(), (3, 8, 8))]

    def reference(self, part, site, module, x):
        """All columns at once, the normalization, the activation."""
        linear, *rest = module
        y = x @ linear.weight.T + (0 if linear.bias is None else linear.bias)
        assert (linear.bias is None) == (part.norm is not None)
        for inner, own in zip([one for one in (part.norm, part.activation) if one is not None], rest, strict=True):
            y = rebuilt(inner, map_of(y), own)(y)
        return y

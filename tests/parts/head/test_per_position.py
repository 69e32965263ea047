"""A head that gives outputs at each position of the last map."""

from search_spaces.blocks import PerPositionHead
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import map_of, per_channel, rebuilt


class TestPerPositionHead(PartConformance):
    cases = [
        (PerPositionHead(), (16, 9)),
        (PerPositionHead(norm=None), (16, 9)),
        (PerPositionHead(norm="batch"), (16, 5, 7)),
    ]
    refused = [(PerPositionHead(), (16,))]

    def reference(self, part, site, module, x):
        """The normalization, and the same matrix at each position."""
        *norms, linear = module
        for norm in norms:
            x = rebuilt(part.norm, map_of(x), norm)(x)
        y = (x.movedim(1, -1) @ linear.weight.flatten(1).T).movedim(-1, 1)
        return y + per_channel(linear.bias, y)

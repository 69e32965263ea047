"""Downsampling by pooling."""

from search_spaces.blocks import PoolDownsample
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import convolved, map_of, per_channel, rebuilt


class TestPoolDownsample(PartConformance):
    cases = [(PoolDownsample(), (16, 8, 8)), (PoolDownsample(norm=None), (16, 5, 7)), (PoolDownsample(), (16, 9))]
    refused = [(PoolDownsample(), (8, 1, 4))]

    def reference(self, part, site, module, x):
        """The mean of four pixels, whatever is over at odd sides left out; 1x1 convolution; normalization."""
        _, conv, *norms = module
        assert (conv.bias is None) == bool(norms)
        sides = len(site.sides)
        y = convolved(x, conv.weight.expand(-1, -1, *[2] * sides) / 2**sides, 0, stride=2)
        for norm in norms:
            y = rebuilt(part.norm, map_of(y), norm)(y)
        return y if norms else y + per_channel(conv.bias, y)

"""A head for dense prediction: the last map's scores at the inputs' resolution."""

from search_spaces.blocks import DenseHead
from search_spaces.testing import PartConformance
from tests.parts.head.dense_reference import upsampled
from tests.parts.rebuilding import convolved, map_of, per_channel, rebuilt


class TestDenseHead(PartConformance):
    cases = [(DenseHead(), (16, 8, 8)), (DenseHead(norm=None), (16, 5, 7)), (DenseHead("layer"), (16, 5, 7))]
    refused = [(DenseHead(), (16, 9)), (DenseHead(), (16,))]

    def reference(self, part, site, module, x):
        """The normalization, the scores, and these between the pixels of the map."""
        *norms, score, _ = module
        for norm in norms:
            x = rebuilt(part.norm, map_of(x), norm)(x)
        y = convolved(x, score.weight, 0)
        return upsampled(y + per_channel(score.bias, y), site.inputs[1:])

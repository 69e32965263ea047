"""A head for dense prediction that adds up the scores of all stages' maps."""

import torch
from torch.nn import functional

from search_spaces.blocks import DenseSkipsHead
from search_spaces.site import Site
from search_spaces.testing import PartConformance, randomise
from tests.parts.head.dense_reference import upsampled
from tests.parts.rebuilding import convolved, map_of, per_channel, rebuilt


def scored(part, module, maps, sides):
    """From the deepest map on: the total so far at the next map's sides, and the scores of that map."""
    total = None
    for scores, x in reversed(list(zip(module.scores, maps, strict=True))):
        *norms, score = scores
        for norm in norms:
            x = rebuilt(part.norm, map_of(x), norm)(x)
        y = convolved(x, score.weight, 0)
        y = y + per_channel(score.bias, y)
        total = y if total is None else upsampled(total, tuple(y.shape[2:])) + y
    return upsampled(total, sides)


class TestDenseSkipsHead(PartConformance):
    cases = [(DenseSkipsHead(), (8, 8, 8)), (DenseSkipsHead(None), (8, 5, 7))]
    refused = [(DenseSkipsHead(), (8, 9))]

    def reference(self, part, site, module, x):
        return scored(part, module.head, (x, functional.avg_pool2d(x, 2)), site.inputs[1:])


def test_three_maps_that_no_side_divides():
    part, shapes = DenseSkipsHead(), ((8, 23, 30), (12, 12, 15), (16, 6, 8))
    module = randomise(part.build(Site(shapes[-1], 5, maps=shapes, inputs=(3, 90, 119))).double(), 0).eval()
    maps = tuple(torch.randn(2, *shape, dtype=torch.float64) for shape in shapes)
    with torch.no_grad():
        torch.testing.assert_close(module(maps), scored(part, module, maps, (90, 119)))

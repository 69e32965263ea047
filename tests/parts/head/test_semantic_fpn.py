"""A head for dense prediction on a feature pyramid."""

import torch
from torch.nn import functional

from search_spaces.blocks import SemanticFpnHead
from search_spaces.site import Site
from search_spaces.testing import PartConformance, randomise
from tests.parts.head.dense_reference import upsampled
from tests.parts.rebuilding import convolved, map_of, per_channel, rebuilt


def applied(conv, x):
    y = convolved(x, conv.weight, conv.weight.shape[2] // 2)
    return y if conv.bias is None else y + per_channel(conv.bias, y)


def nearest(x, sides):
    """Each pixel's value is that of the map's pixel that its upper left corner is in."""
    for dim, size in zip((2, 3), sides, strict=True):
        x = x.index_select(dim, torch.arange(size) * x.shape[dim] // size)
    return x


def segmented(part, module, maps, sides):
    """The pyramid from above, each level's steps to the first map's sides, the sum, the scores."""
    above, total = None, 0
    for place in reversed(range(len(maps))):
        x = applied(module.laterals[place], maps[place])
        above = x if above is None else x + nearest(above, x.shape[2:])
        y = applied(module.smooth[place], above)
        steps = [layer for layer in module.levels[place] if list(layer.parameters())]
        size = 1 if part.norm is None else 2
        assert len(steps) == size * max(1, place)
        for step in range(max(1, place)):
            conv, *norms = steps[size * step : size * (step + 1)]
            y = applied(conv, y)
            for norm in norms:
                y = rebuilt(part.norm, map_of(y), norm)(y)
            y = y.clamp(min=0)
            if place:
                y = upsampled(y, tuple(maps[place - step - 1].shape[2:]))
        total = total + y
    return upsampled(applied(module.score[0], total), sides)


class TestSemanticFpnHead(PartConformance):
    cases = [(SemanticFpnHead(16, 8), (8, 8, 8)), (SemanticFpnHead(6, 5, None), (8, 5, 7))]
    refused = [(SemanticFpnHead(), (8, 9)), (SemanticFpnHead(16, 12), (8, 8, 8))]
    wrong = [
        (lambda: SemanticFpnHead(0), "semantic_fpn.pyramid"),
        (lambda: SemanticFpnHead(width=0), "semantic_fpn.width"),
    ]

    def reference(self, part, site, module, x):
        return segmented(part, module.head, (x, functional.avg_pool2d(x, 2)), site.inputs[1:])


def test_four_maps_that_no_side_divides():
    part, shapes = SemanticFpnHead(6, 8, "batch"), ((8, 23, 30), (12, 12, 15), (16, 6, 8), (4, 3, 4))
    module = randomise(part.build(Site(shapes[-1], 5, maps=shapes, inputs=(3, 90, 119))).double(), 0).eval()
    maps = tuple(torch.randn(2, *shape, dtype=torch.float64) for shape in shapes)
    with torch.no_grad():
        torch.testing.assert_close(module(maps), segmented(part, module, maps, (90, 119)))

"""Iterative deep aggregation fuses the stages' maps, from the shallowest to the deepest."""

import torch
from torch.nn import functional

from search_spaces.site import Site
from search_spaces.testing import PartConformance, randomise
from search_spaces.topologies import IterativeAggregation
from tests.topologies.all_maps import aggregated
from tests.topologies.wired_networks import OUTPUTS, off, random

SITE = Site((16, 2, 2), OUTPUTS, maps=((8, 7, 5), (12, 4, 3), (16, 2, 2)))
MAPS = tuple(random(2, *shape, seed=place) for place, shape in enumerate(SITE.maps))


class TestIterativeAggregation(PartConformance):
    cases = [
        (IterativeAggregation(), (8, 8, 8)),
        (IterativeAggregation("layer", None), (8, 5, 7)),
        (IterativeAggregation(None, "gelu"), (8, 6, 6)),
    ]

    def reference(self, part, site, module, x):
        return aggregated(module.neck, (x, functional.avg_pool2d(x, 2)))[-1]


def test_maps_are_fused_from_the_shallowest_to_the_deepest():
    module = randomise(IterativeAggregation().build(SITE).double(), 0).eval()
    fused = aggregated(module, MAPS)
    with torch.no_grad():
        got = module(MAPS)
        assert len(got) == 3 and all(off(a, b) < 1e-12 for a, b in zip(fused, got, strict=True))

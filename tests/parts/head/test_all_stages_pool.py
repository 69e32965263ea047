"""The head of all stages' maps is one linear layer of all their averages."""

import torch
from torch.nn import functional

from search_spaces.blocks import AllStagesPoolHead
from search_spaces.site import Site
from search_spaces.testing import PartConformance, randomise
from tests.topologies.all_maps import pooled
from tests.topologies.wired_networks import OUTPUTS, off, random

SITE = Site((16, 2, 2), OUTPUTS, maps=((8, 7, 5), (12, 4, 3), (16, 2, 2)))
MAPS = tuple(random(2, *shape, seed=place) for place, shape in enumerate(SITE.maps))


class TestAllStagesPoolHead(PartConformance):
    cases = [(AllStagesPoolHead(), (8, 8, 8)), (AllStagesPoolHead(None), (8, 5, 7)), (AllStagesPoolHead(), (8, 9))]
    refused = [(AllStagesPoolHead(), (8,))]

    def reference(self, part, site, module, x):
        return pooled(module.head, (x, (functional.avg_pool1d if x.dim() == 3 else functional.avg_pool2d)(x, 2)))


def test_the_head_is_one_linear_layer_of_all_averages():
    module = randomise(AllStagesPoolHead(None).build(SITE).double(), 0).eval()
    expected = pooled(module, MAPS)
    with torch.no_grad():
        assert off(expected, module(MAPS)) < 1e-12
        module.reparameterize()
        assert len(module.linears) == 1 and module.linears[0].in_features == 8 + 12 + 16
        assert off(expected, module(MAPS)) < 1e-12

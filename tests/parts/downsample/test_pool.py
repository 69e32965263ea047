"""Downsampling by pooling."""

import torch

from search_spaces.blocks import PoolDownsample
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import map_of, rebuilt


class TestPoolDownsample(PartConformance):
    cases = [(PoolDownsample(), (16, 8, 8)), (PoolDownsample(norm=None), (16, 5, 7))]
    refused = [(PoolDownsample(), (8, 1, 4))]

    def reference(self, part, site, module, x):
        """The mean of four pixels, whatever is over at odd sides left out; 1x1 convolution; normalization."""
        _, conv, *norms = module
        assert (conv.bias is None) == bool(norms)
        height, width = (side // 2 * 2 for side in site.sides)
        y = sum(x[:, :, down:height:2, across:width:2] for down in (0, 1) for across in (0, 1)) / 4
        y = torch.einsum("bchw,oc->bohw", y, conv.weight[:, :, 0, 0])
        for norm in norms:
            y = rebuilt(part.norm, map_of(y), norm)(y)
        return y if norms else y + conv.bias[:, None, None]

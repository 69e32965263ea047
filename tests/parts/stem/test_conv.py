"""A convolutional stem of any kernel, and pooling."""

import torch
from torch.nn import functional

from search_spaces.blocks import ConvStem
from search_spaces.site import Site
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import behind_conv


class TestConvStem(PartConformance):
    cases = [
        (ConvStem(), (3, 17, 16)),
        (ConvStem(3, 1, 1, "layer", "gelu"), (16, 5, 7)),
        (ConvStem(5, 4, 2, None, None), (3, 33)),
    ]
    wrong = [
        (lambda: ConvStem(kernel=6), "conv.kernel"),
        (lambda: ConvStem(stride=0), "conv.stride"),
        (lambda: ConvStem(pool=0), "conv.pool"),
    ]

    def reference(self, part, site, module, x):
        """The convolution with zeros around, its parts, and the largest of three positions along each side in turn."""
        layers = module if part.pool == 1 else module[:-1]
        y = behind_conv(x, layers, part.kernel, part.norm, part.activation, stride=part.stride)
        for side in range(2, x.dim()) if part.pool > 1 else ():
            around = functional.pad(y.transpose(side, -1), (1, 1), value=float("-inf"))
            y = around.unfold(-1, 3, part.pool).amax(-1).transpose(side, -1)
        return y

    def test_resnet_begins_with_it(self):
        assert tuple(ConvStem().build(Site((3, 224, 224), 64))(torch.zeros(1, 3, 224, 224)).shape) == (1, 64, 56, 56)

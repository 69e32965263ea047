"""A convolutional stem."""

from torch.nn import functional

from search_spaces.blocks import Conv3x3Stem
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import map_of, rebuilt


class TestConv3x3Stem(PartConformance):
    cases = [
        (Conv3x3Stem(), (16, 8, 8)),
        (Conv3x3Stem(stride=1, norm=None, activation=None), (16, 5, 7)),
        (Conv3x3Stem(stride=3, norm="layer", activation="gelu"), (3, 8, 7)),
    ]
    wrong = [(lambda: Conv3x3Stem(stride=0), "conv3x3.stride")]

    def reference(self, part, site, module, x):
        """A 3x3 convolution with zeros around at every `stride`-th position, the normalization, the activation."""
        conv, *rest = module
        parts = [inner for inner in (part.norm, part.activation) if inner is not None]
        assert (conv.bias is None) == (part.norm is not None)
        y = functional.conv2d(functional.pad(x, (1, 1, 1, 1)), conv.weight, conv.bias)
        y = y[:, :, :: part.stride, :: part.stride]
        for inner, own in zip(parts, rest, strict=True):
            y = rebuilt(inner, map_of(y), own)(y)
        return y

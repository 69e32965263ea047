"""A convolutional stem."""

from search_spaces.blocks import Conv3x3Stem
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import convolved, map_of, per_channel, rebuilt


class TestConv3x3Stem(PartConformance):
    cases = [
        (Conv3x3Stem(), (16, 8, 8)),
        (Conv3x3Stem(stride=1, norm=None, activation=None), (16, 5, 7)),
        (Conv3x3Stem(stride=3, norm="layer", activation="gelu"), (3, 8, 7)),
        (Conv3x3Stem(), (3, 9)),
    ]
    wrong = [(lambda: Conv3x3Stem(stride=0), "conv3x3.stride")]

    def reference(self, part, site, module, x):
        """A 3x3 convolution with zeros around at every `stride`-th position, the normalization, the activation."""
        conv, *rest = module
        parts = [inner for inner in (part.norm, part.activation) if inner is not None]
        assert (conv.bias is None) == (part.norm is not None)
        y = convolved(x, conv.weight, 1, stride=part.stride)
        y = y if conv.bias is None else y + per_channel(conv.bias, y)
        for inner, own in zip(parts, rest, strict=True):
            y = rebuilt(inner, map_of(y), own)(y)
        return y

"""Downsampling by a convolution."""

from search_spaces.blocks import ConvDownsample
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import convolved, map_of, per_channel, rebuilt


class TestConvDownsample(PartConformance):
    cases = [
        (ConvDownsample(), (16, 8, 8)),
        (ConvDownsample(kernel=2, norm="layer"), (16, 5, 7)),
        (ConvDownsample(), (8, 1, 1)),
        (ConvDownsample(norm=None), (16, 5, 7)),
        (ConvDownsample(), (16, 9)),
        (ConvDownsample(kernel=2, norm="rms"), (16, 9)),
        (ConvDownsample(kernel=2, norm="layer", norm_first=True), (16, 5, 7)),
        (ConvDownsample(norm_first=True, stride=1), (16, 5, 7)),
    ]
    refused = [(ConvDownsample(kernel=2), (8, 1, 1)), (ConvDownsample(kernel=2), (8, 1)), (ConvDownsample(), (8,))]
    wrong = [
        (lambda: ConvDownsample(kernel=5), "conv.kernel"),
        (lambda: ConvDownsample(kernel=2, stride=1), "conv.kernel"),
        (lambda: ConvDownsample(stride=3), "conv.stride"),
    ]

    def reference(self, part, site, module, x):
        """A convolution at every other position: 3x3 around it, or 2x2 from it on; the normalization then or before."""
        conv, *norms = reversed(module) if part.norm_first else module
        assert (conv.bias is None) == (bool(norms) and not part.norm_first)
        if part.norm_first:
            x, norms = rebuilt(part.norm, map_of(x), norms[0])(x), []
        y = convolved(x, conv.weight, 1 if part.kernel == 3 else 0, stride=part.stride)
        for norm in norms:
            y = rebuilt(part.norm, map_of(y), norm)(y)
        return y if norms else y + per_channel(conv.bias, y)

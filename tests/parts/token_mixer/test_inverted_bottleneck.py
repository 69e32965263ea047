"""Inverted bottleneck."""

from search_spaces.blocks import GroupNorm, InvertedBottleneck
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import convolved, map_of, per_channel, rebuilt


class TestInvertedBottleneck(PartConformance):
    cases = [
        (InvertedBottleneck(), (16, 8, 8)),
        (InvertedBottleneck(kernel=5, expansion=1, norm=None), (16, 5, 7)),
        (InvertedBottleneck(3, 3, "layer", "hard_swish", "squeeze_excitation"), (16, 5, 7)),
        (InvertedBottleneck(3, 3, "batch", "relu", "eca"), (16, 9)),
        (InvertedBottleneck(3, 2.3, divisor=8), (16, 5, 7)),
    ]
    refused = [(InvertedBottleneck(expansion=3, norm=GroupNorm(group_size=32)), (16, 8, 8))]
    wrong = [
        (lambda: InvertedBottleneck(kernel=2), "inverted_bottleneck.kernel"),
        (lambda: InvertedBottleneck(expansion=0.5), "inverted_bottleneck.expansion"),
        (lambda: InvertedBottleneck(divisor=0), "inverted_bottleneck.divisor"),
    ]

    def reference(self, part, site, module, x):
        """Layer by layer: wide, depthwise, attention on the wide channels, narrow, and no activation behind that."""
        layers, wide = iter(module), 40 if part.divisor == 8 else round(site.channels * part.expansion)

        def conv(y, width, kernel=1, groups=1):
            layer = next(layers)
            assert layer.weight.shape == (width, y.shape[1] // groups, *[kernel] * len(site.sides))
            y = convolved(y, layer.weight, kernel // 2, groups=groups)
            return y if layer.bias is None else y + per_channel(layer.bias, y)

        def inner(own, y):
            return y if own is None else rebuilt(own, map_of(y), next(layers))(y)

        y = x
        if part.expansion != 1:
            y = inner(part.activation, inner(part.norm, conv(y, wide)))
        y = inner(part.activation, inner(part.norm, conv(y, wide, part.kernel, wide)))
        y = inner(part.channel_attention, y)
        y = inner(part.norm, conv(y, site.channels))
        assert next(layers, None) is None
        return y

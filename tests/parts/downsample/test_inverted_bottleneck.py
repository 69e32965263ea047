"""Inverted bottleneck where a stage begins."""

from search_spaces.blocks import InvertedBottleneckDownsample
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import behind, behind_conv


class TestInvertedBottleneckDownsample(PartConformance):
    cases = [
        (InvertedBottleneckDownsample(), (16, 8, 8)),
        (InvertedBottleneckDownsample(5, 1, "batch", "relu6", "squeeze_excitation"), (12, 5, 7)),
        (InvertedBottleneckDownsample(3, 2.3, "layer", "hard_swish", "eca", 1), (16, 5, 7)),
        (InvertedBottleneckDownsample(3, 3, None, divisor=1), (16, 9)),
        (InvertedBottleneckDownsample(stride=1), (24, 5, 7)),
    ]
    wrong = [
        (lambda: InvertedBottleneckDownsample(kernel=2), "inverted_bottleneck.kernel"),
        (lambda: InvertedBottleneckDownsample(expansion=0.5), "inverted_bottleneck.expansion"),
        (lambda: InvertedBottleneckDownsample(stride=3), "inverted_bottleneck.stride"),
        (lambda: InvertedBottleneckDownsample(divisor=0), "inverted_bottleneck.divisor"),
    ]

    def reference(self, part, site, module, x):
        """Wide, depthwise with the stride, attention, to the width, and a shortcut where shapes stay."""
        wide = {4: 4 * site.channels, 1: 12, 2.3: 40, 3: 48}[part.expansion]
        layers, given = list(module), x
        long = 1 + (part.norm is not None)
        parts = (part.norm, part.activation)
        if part.expansion != 1:
            x = behind_conv(x, layers[: long + 1], 1, *parts)
            layers = layers[long + 1 :]
        assert x.shape[1] == wide
        x = behind_conv(x, layers[: long + 1], part.kernel, *parts, stride=part.stride, groups=wide)
        layers = layers[long + 1 :]
        if part.channel_attention is not None:
            x = behind(part.channel_attention, x, layers.pop(0))
        y = behind_conv(x, layers, 1, part.norm)
        return given + y if site.channels == site.width and part.stride == 1 else y

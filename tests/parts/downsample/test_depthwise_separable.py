"""Depthwise separable convolution where a stage begins."""

from search_spaces.blocks import DepthwiseSeparableDownsample
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import behind, behind_conv


class TestDepthwiseSeparableDownsample(PartConformance):
    cases = [
        (DepthwiseSeparableDownsample(), (16, 8, 8)),
        (DepthwiseSeparableDownsample(5, "layer", "hard_swish", "squeeze_excitation", 1), (16, 5, 7)),
        (DepthwiseSeparableDownsample(norm=None, activation=None), (16, 9)),
    ]
    wrong = [
        (lambda: DepthwiseSeparableDownsample(kernel=2), "depthwise_separable.kernel"),
        (lambda: DepthwiseSeparableDownsample(stride=3), "depthwise_separable.stride"),
    ]

    def reference(self, part, site, module, x):
        """act(norm(1x1(attention(act(norm(depthwise(x)))))))."""
        parts = (part.norm, part.activation)
        y = behind_conv(x, module.depthwise, part.kernel, *parts, groups=site.channels, stride=part.stride)
        if part.channel_attention is not None:
            y = behind(part.channel_attention, y, module.attention)
        return behind_conv(y, module.pointwise, 1, *parts)

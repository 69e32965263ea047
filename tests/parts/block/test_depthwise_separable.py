"""Depthwise separable convolution."""

from search_spaces.blocks import DepthwiseSeparableBlock
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import behind, behind_conv


class TestDepthwiseSeparableBlock(PartConformance):
    cases = [
        (DepthwiseSeparableBlock(), (16, 8, 8)),
        (DepthwiseSeparableBlock(5, "layer", "hard_swish", "squeeze_excitation"), (16, 5, 7)),
        (DepthwiseSeparableBlock(norm=None, activation=None), (16, 9)),
    ]
    wrong = [
        (lambda: DepthwiseSeparableBlock(kernel=2), "depthwise_separable.kernel"),
    ]

    def reference(self, part, site, module, x):
        """act(norm(1x1(attention(act(norm(depthwise(x)))))))."""
        parts = (part.norm, part.activation)
        y = behind_conv(x, module.depthwise, part.kernel, *parts, groups=site.channels)
        if part.channel_attention is not None:
            y = behind(part.channel_attention, y, module.attention)
        return behind_conv(y, module.pointwise, 1, *parts)

"""Conditional positional encoding."""

from search_spaces.blocks import ConditionalEncoding
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import convolved, per_channel


class TestConditionalEncoding(PartConformance):
    cases = [
        (ConditionalEncoding(), (16, 8, 8)),
        (ConditionalEncoding(5), (16, 5, 7)),
        (ConditionalEncoding(5), (16, 9)),
    ]
    wrong = [(lambda: ConditionalEncoding(kernel=2), "conditional.kernel")]

    def reference(self, part, site, module, x):
        """The map plus a depthwise convolution of it with zeros around, by which the border can be told."""
        conv, edge = module.conv, part.kernel // 2
        return x + convolved(x, conv.weight, edge, groups=site.channels) + per_channel(conv.bias, x)

"""Conditional positional encoding."""

from torch.nn import functional

from search_spaces.blocks import ConditionalEncoding
from search_spaces.testing import PartConformance


class TestConditionalEncoding(PartConformance):
    cases = [(ConditionalEncoding(), (16, 8, 8)), (ConditionalEncoding(5), (16, 5, 7))]
    wrong = [(lambda: ConditionalEncoding(kernel=2), "conditional.kernel")]

    def reference(self, part, site, module, x):
        """The map plus a depthwise convolution of it with zeros around, by which the border can be told."""
        conv, edge = module.conv, part.kernel // 2
        around = functional.pad(x, (edge,) * 4)
        return x + functional.conv2d(around, conv.weight, conv.bias, groups=site.channels)

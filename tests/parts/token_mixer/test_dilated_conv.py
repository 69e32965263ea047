"""Dilated depthwise convolution."""

from search_spaces.blocks import DilatedConv
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import convolved, per_channel


class TestDilatedConv(PartConformance):
    cases = [(DilatedConv(), (16, 8, 8)), (DilatedConv(kernel=3, dilation=4), (16, 5, 7)), (DilatedConv(3, 2), (16, 9))]
    wrong = [
        (lambda: DilatedConv(kernel=1), "dilated_conv.kernel"),
        (lambda: DilatedConv(dilation=1), "dilated_conv.dilation"),
    ]

    def reference(self, part, site, module, x):
        """The sum of the map's shifts by multiples of `dilation`, each with its tap of the channel's filter."""
        reach = part.dilation * (part.kernel // 2)
        y = convolved(x, module.weight, reach, part.dilation, site.channels)
        return y + per_channel(module.bias, x)

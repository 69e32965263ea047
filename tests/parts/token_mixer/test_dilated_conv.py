"""Dilated depthwise convolution."""

from torch.nn import functional

from search_spaces.blocks import DilatedConv
from search_spaces.testing import PartConformance


class TestDilatedConv(PartConformance):
    cases = [(DilatedConv(), (16, 8, 8)), (DilatedConv(kernel=3, dilation=4), (16, 5, 7))]
    wrong = [
        (lambda: DilatedConv(kernel=1), "dilated_conv.kernel"),
        (lambda: DilatedConv(dilation=1), "dilated_conv.dilation"),
    ]

    def reference(self, part, site, module, x):
        """The sum of the map's shifts by multiples of `dilation`, each with its tap of the channel's filter."""
        height, width = site.sides
        reach = part.dilation * (part.kernel // 2)
        around = functional.pad(x, (reach,) * 4)
        y = module.bias[:, None, None].expand_as(x).clone()
        for row in range(part.kernel):
            for column in range(part.kernel):
                down, across = row * part.dilation, column * part.dilation
                seen = around[:, :, down : down + height, across : across + width]
                y += module.weight[:, 0, row, column, None, None] * seen
        return y

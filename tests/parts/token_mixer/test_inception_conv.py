"""Inception convolution."""

import torch
from torch.nn import functional

from search_spaces.blocks import InceptionConv
from search_spaces.testing import PartConformance


class TestInceptionConv(PartConformance):
    cases = [(InceptionConv(), (16, 8, 8)), (InceptionConv(5, ((1, 3), (2, 1), (1, 3))), (16, 5, 7))]
    wrong = [
        (lambda: InceptionConv(kernel=1), "inception_conv.kernel"),
        (lambda: InceptionConv(dilations=()), "inception_conv.dilations"),
        (lambda: InceptionConv(dilations=((1, 0),)), "inception_conv.dilations"),
        (lambda: InceptionConv(dilations=(2, 1)), "inception_conv.dilations"),
    ]

    def reference(self, part, site, module, x):
        """A convolution for each output channel, of all input channels, with that channel's dilations."""
        y = []
        for channel in range(site.channels):
            down, across = part.dilations[channel % len(part.dilations)]
            around = functional.pad(x, [reach * (part.kernel // 2) for reach in (across, across, down, down)])
            row = slice(channel, channel + 1)
            y.append(functional.conv2d(around, module.weight[row], module.bias[row], dilation=(down, across)))
        return torch.cat(y, 1)

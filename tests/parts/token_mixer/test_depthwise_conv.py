"""Depthwise convolution."""

from torch.nn import functional

from search_spaces.blocks import DepthwiseConv
from search_spaces.testing import PartConformance


class TestDepthwiseConv(PartConformance):
    cases = [(DepthwiseConv(), (16, 8, 8)), (DepthwiseConv(kernel=3), (16, 5, 7)), (DepthwiseConv(1), (16, 5, 7))]
    wrong = [(lambda: DepthwiseConv(kernel=4), "depthwise_conv.kernel")]

    def reference(self, part, site, module, x):
        """At each position of a channel the products of its neighbourhood there and that channel's own filter."""
        near = functional.unfold(x, part.kernel, padding=part.kernel // 2).unflatten(1, (site.channels, -1))
        y = (near * module.weight.flatten(1)[:, :, None]).sum(2).view_as(x)
        return y + module.bias[:, None, None]

"""Depthwise convolution."""

import torch

from search_spaces.blocks import DepthwiseConv
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import convolved, map_of, per_channel


class TestDepthwiseConv(PartConformance):
    cases = [
        (DepthwiseConv(), (16, 8, 8)),
        (DepthwiseConv(kernel=3), (16, 5, 7)),
        (DepthwiseConv(1), (16, 5, 7)),
        (DepthwiseConv(5), (16, 9)),
    ]
    refused = [(DepthwiseConv(causal=True), (16, 8, 8)), (DepthwiseConv(), (16,))]
    wrong = [(lambda: DepthwiseConv(kernel=4), "depthwise_conv.kernel")]

    def reference(self, part, site, module, x):
        """At each position of a channel the products of its neighbourhood there and that channel's own filter."""
        return convolved(x, module.weight, part.kernel // 2, groups=site.channels) + per_channel(module.bias, x)


class TestCausalDepthwiseConv(PartConformance):
    cases = [
        (DepthwiseConv(5, causal=True), (16, 9)),
        (DepthwiseConv(7, True), (8, 3)),
        (DepthwiseConv(1, True), (8, 5)),
    ]

    def reference(self, part, site, module, x):
        """The sum over what is so many positions before, the filter's first tap being that of the position itself."""
        y = module.bias[:, None].expand_as(x).clone()
        for lag in range(min(part.kernel, site.sides[0])):
            y[..., lag:] += module.weight[:, :, lag] * x[..., : site.sides[0] - lag]
        return y

    def test_a_longer_filter_begins_with_the_shorter_one(self):
        """So that supernets' slices and edits mean the same positions."""
        short, long = (DepthwiseConv(kernel, causal=True).build(map_of(torch.zeros(1, 4, 9))) for kernel in (3, 5))
        with torch.no_grad():
            long.weight[:, :, :3], long.weight[:, :, 3:], long.bias[:] = short.weight, 0, short.bias
        x = torch.randn(2, 4, 9, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(long(x), short(x))

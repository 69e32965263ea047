"""Group normalization."""

import torch

from search_spaces.blocks import GroupNorm
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import per_channel


class TestGroupNorm(PartConformance):
    cases = [
        (GroupNorm(), (16, 8, 8)),
        (GroupNorm(group_size=4), (16, 5, 7)),
        (GroupNorm(4), (16, 9)),
        (GroupNorm(4), (16,)),
    ]
    refused = [(GroupNorm(group_size=8), (12, 4, 4))]
    wrong = [(lambda: GroupNorm(group_size=0), "group.group_size")]

    def reference(self, part, site, module, x):
        """Each example's groups of `group_size` neighbouring channels, over all positions."""
        y = []
        for first in range(0, site.channels, part.group_size):
            group = x[:, first : first + part.group_size].flatten(1)
            mean, variance = group.mean(1, keepdim=True), group.var(1, keepdim=True, unbiased=False)
            y.append((group - mean) / (variance + 1e-5).sqrt())
        weight, bias = per_channel(module.weight, x), per_channel(module.bias, x)
        return torch.cat(y, 1).view_as(x) * weight + bias

"""Normalization before and behind what a residual branch computes."""

from torch import nn
from torch.nn import functional

from search_spaces.blocks import PeriNorm
from search_spaces.testing import PartConformance


def normalized(norm, x):
    return functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)


class TestPeriNorm(PartConformance):
    """Around a 1x1 convolution; how blocks hold it is in the block's tests."""

    cases = [(PeriNorm(), (16, 8, 8)), (PeriNorm(), (16, 5, 7)), (PeriNorm(), (16, 9)), (PeriNorm(), (16,))]

    def reference(self, part, site, module, x):
        (conv,) = (inner for inner in module.modules() if isinstance(inner, nn.Conv1d | nn.Conv2d | nn.Linear))
        before, after = (inner for inner in module.modules() if isinstance(inner, nn.BatchNorm1d | nn.BatchNorm2d))
        return x + normalized(after, conv(normalized(before, x)))

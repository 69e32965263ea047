"""Normalization before a residual branch."""

from torch import nn
from torch.nn import functional

from search_spaces.blocks import PreNorm
from search_spaces.testing import PartConformance


def normalized(norm, x):
    return functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)


class TestPreNorm(PartConformance):
    """Around a 1x1 convolution; how blocks hold it is in the block's tests."""

    cases = [(PreNorm(), (16, 8, 8)), (PreNorm(), (16, 5, 7)), (PreNorm(), (16, 9)), (PreNorm(), (16,))]

    def reference(self, part, site, module, x):
        (conv,) = (inner for inner in module.modules() if isinstance(inner, nn.Conv1d | nn.Conv2d | nn.Linear))
        (norm,) = (inner for inner in module.modules() if isinstance(inner, nn.BatchNorm1d | nn.BatchNorm2d))
        return x + conv(normalized(norm, x))

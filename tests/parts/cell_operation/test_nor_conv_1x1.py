"""The 1x1 convolution of a cell."""

from torch.nn import functional

from search_spaces.blocks import NormedConv1x1
from search_spaces.testing import PartConformance


class TestNormedConv1x1(PartConformance):
    cases = [(NormedConv1x1(), (16, 8, 8))]

    def reference(self, part, site, module, x):
        """ReLU first, then the convolution without a bias, then batch normalization."""
        _, conv, norm = module
        assert conv.bias is None and conv.weight.shape == (16, 16, 1, 1)
        y = functional.conv2d(functional.relu(x), conv.weight, padding=0)
        return functional.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias)

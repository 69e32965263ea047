"""The 3x3 convolution of a cell."""

from torch.nn import functional

from search_spaces.blocks import NormedConv3x3
from search_spaces.testing import PartConformance


class TestNormedConv3x3(PartConformance):
    cases = [(NormedConv3x3(), (16, 8, 8))]

    def reference(self, part, site, module, x):
        """ReLU first, then the convolution without a bias, then batch normalization."""
        _, conv, norm = module
        assert conv.bias is None and conv.weight.shape == (16, 16, 3, 3)
        y = functional.conv2d(functional.relu(x), conv.weight, padding=1)
        return functional.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias)

"""The operations of cells: `build(shape)` gives a module from a node's map to its contribution to another's."""

import torch
from torch import nn

from search_spaces.parts import Part, part


class Zero(nn.Module):
    """Zeros of the input's shape."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mul(0.0)


def relu_conv_norm(channels: int, width: int, kernel: int, stride: int = 1) -> nn.Module:
    """ReLU, convolution, batch normalization, in this order, as in NAS-Bench-201."""
    conv = nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(width))


@part("cell_operation", "none", source="NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search")
class ZeroOperation(Part):
    """No connection."""

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        return Zero()


@part(
    "cell_operation",
    "skip_connect",
    source="NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search",
)
class SkipConnection(Part):
    """The identity."""

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        return nn.Identity()


@part(
    "cell_operation",
    "nor_conv_1x1",
    source="NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search",
)
class NormedConv1x1(Part):
    """ReLU, 1x1 convolution, batch normalization."""

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        return relu_conv_norm(shape[0], shape[0], 1)


@part(
    "cell_operation",
    "nor_conv_3x3",
    source="NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search",
)
class NormedConv3x3(Part):
    """ReLU, 3x3 convolution, batch normalization."""

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        return relu_conv_norm(shape[0], shape[0], 3)


@part(
    "cell_operation",
    "avg_pool_3x3",
    source="NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search",
)
class AveragePool3x3(Part):
    """The average of each 3x3 neighbourhood, padding not counted."""

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False)

"""Layers by the number of a map's sides: none, (batch, channels), one, (batch, channels, length), and more."""

from typing import Any

from torch import nn

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""By the number of a map's sides, less one."""
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d)
"""By the number of a map's sides."""
POOLS = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
"""By the number of a map's sides, less one."""
MEANS = (nn.AvgPool1d, nn.AvgPool2d)
"""By the number of a map's sides, less one."""


def convolution(sides: int, channels: int, width: int, kernel: Any, *rest: Any, **named: Any) -> nn.Module:
    """torch's convolution of maps of so many sides; `rest` and `named` are its further arguments."""
    return CONVS[sides - 1](channels, width, kernel, *rest, **named)


def pointwise(sides: int, channels: int, width: int, bias: bool = True) -> nn.Module:
    """What mixes the channels of each position: a 1x1 convolution, or, of features without sides, a linear layer."""
    if sides == 0:
        return nn.Linear(channels, width, bias=bias)
    return convolution(sides, channels, width, 1, bias=bias)


def convs_of(module: nn.Module, sides: int) -> nn.Module:
    """One of timm's modules of maps of two sides, with each 1x1 `Conv2d` in it become what does the same on `sides`.

    It is changed in place; of two sides it is left as it is.
    """
    for name, child in module.named_children() if sides != 2 else ():
        if isinstance(child, nn.Conv2d):
            layer: Any = pointwise(sides, child.in_channels, child.out_channels, child.bias is not None)
            layer.weight = nn.Parameter(child.weight.detach().flatten(1).view(layer.weight.shape))
            if child.bias is not None:
                layer.bias = child.bias
            setattr(module, name, layer)
    return module

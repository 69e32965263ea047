"""Activation first, as in the cells of NAS-Bench-201."""

from torch import nn


def relu_conv_norm(channels: int, width: int, kernel: int, stride: int = 1) -> nn.Module:
    """ReLU, convolution, batch normalization, in this order, as in NAS-Bench-201."""
    conv = nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(width))

"""The branches of RepVGG's convolution that have weights."""

import torch
from torch import nn

from search_spaces.blocks import BatchNorm
from tests.parts.rebuilding import behind_conv


def branches(module: nn.Module, x: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
    """norm(conv(x)) + norm(1x1(x))."""
    own = behind_conv(x, module.kernel, kernel, BatchNorm(), stride=stride)
    return own + behind_conv(x, module.point, 1, BatchNorm(), stride=stride)

"""Normalizations of each position over its channels, for maps (batch, channels, *sides) of any number of sides.

Of two sides, timm's `LayerNorm2d` and `RmsNorm2d` do the same.
"""

import torch
from timm.layers import LayerScale2d
from torch import nn
from torch.nn import functional


class ChannelLayerNorm(nn.LayerNorm):
    """Layer normalization over dimension 1."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Permuted by counted dimensions: exporters to ONNX make `movedim` of negative ones a file that doesn't load.
        last = x.permute(0, *range(2, x.dim()), 1)
        last = functional.layer_norm(last, self.normalized_shape, self.weight, self.bias, self.eps)
        return last.permute(0, x.dim() - 1, *range(1, x.dim() - 1))


class ChannelRmsNorm(nn.Module):
    """Division by the root mean square over dimension 1, and a weight per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-6)
        return x * self.weight.view(-1, *[1] * (x.dim() - 2))


class ChannelScale(LayerScale2d):
    """A learned scale per channel; the maps may have any number of sides."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gamma.view(-1, *[1] * (x.dim() - 2))

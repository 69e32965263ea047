"""Residuals: `build(channels)` gives a module that joins a shortcut and a branch, `module(x, branch)`."""

import torch
from timm.layers import LayerScale2d
from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part


class ResidualAdd(nn.Module):
    """x + branch."""

    def forward(self, x: torch.Tensor, branch: torch.Tensor) -> torch.Tensor:
        return x + branch


class ScaledResidualAdd(nn.Module):
    """x + scale * branch, with a learned scale per channel."""

    def __init__(self, channels: int, initial: float) -> None:
        super().__init__()
        self.scale = LayerScale2d(channels, initial)

    def forward(self, x: torch.Tensor, branch: torch.Tensor) -> torch.Tensor:
        return x + self.scale(branch)


@part("residual", "add", source="Deep Residual Learning for Image Recognition")
class Add(Part):
    """The plain sum."""

    def build(self, channels: int) -> nn.Module:
        return ResidualAdd()


@part("residual", "layer_scale", source="Going deeper with Image Transformers")
class LayerScale(Part):
    """The branch is scaled per channel; `initial` is 0.1 for networks of up to 18 layers in the paper."""

    initial: float = 0.1

    def validate(self) -> None:
        if not 0 < self.initial <= 1:
            raise SpaceError(f"must be above 0 and at most 1, not {self.initial}", "layer_scale.initial")

    def build(self, channels: int) -> nn.Module:
        return ScaledResidualAdd(channels, self.initial)

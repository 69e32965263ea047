"""LayerScale."""

from collections.abc import Callable
from typing import Any

import torch
from timm.layers import LayerScale2d
from torch import nn

from search_spaces.declarations import transparent, zeroed
from search_spaces.errors import SpaceError
from search_spaces.layers.channel_norms import ChannelScale
from search_spaces.parts import Part, part
from search_spaces.site import Site


@transparent
class ScaledResidualAdd(nn.Module):
    """x + scale * branch, with a learned scale per channel."""

    def __init__(self, channels: int, initial: float, sides: int) -> None:
        super().__init__()
        self.scale = (LayerScale2d if sides == 2 else ChannelScale)(channels, initial)

    def forward(self, x: torch.Tensor, branch: torch.Tensor) -> torch.Tensor:
        return x + self.scale(branch)


@zeroed(ScaledResidualAdd)
def _zero(module: ScaledResidualAdd, zero: Callable[[Any], bool]) -> bool:
    nn.init.zeros_(module.scale.gamma)
    return True


@part("residual", "layer_scale", source="Going deeper with Image Transformers", sliced=True)
class LayerScale(Part):
    """The branch is scaled per channel; `initial` is 0.1 for networks of up to 18 layers in the paper."""

    initial: float = 0.1

    def validate(self) -> None:
        if not 0 < self.initial <= 1:
            raise SpaceError(f"must be above 0 and at most 1, not {self.initial}", "layer_scale.initial")

    def build(self, site: Site) -> nn.Module:
        return ScaledResidualAdd(site.channels, self.initial, len(site.sides))

"""Modules of pictures for sequences."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from search_spaces.declarations import transparent, zeroed


@transparent
class AsPicture(nn.Module):
    """A module of maps (batch, channels, high, wide), given (batch, channels, length) as pictures that are 1 wide."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.module(x.unsqueeze(3)).squeeze(3)


@zeroed(AsPicture)
def _zero(module: AsPicture, zero: Callable[[Any], bool]) -> bool:
    return zero(module.module)

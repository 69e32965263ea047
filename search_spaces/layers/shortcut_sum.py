"""The sum of a branch and a shortcut, and an activation behind it, as in ResNet."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from search_spaces.declarations import begins_as_identity, may_drop, transparent
from search_spaces.errors import SpaceError


@transparent
class ShortcutSum(nn.Module):
    """activation(shortcut(x) + branch(x))."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.branch, self.shortcut, self.activation = branch, shortcut, activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(self.shortcut(x) + self.branch(x))


@begins_as_identity(ShortcutSum)
def _switched_off(module: ShortcutSum, zero: Callable[[Any], bool]) -> bool:
    if not isinstance(module.activation, nn.Identity) or not isinstance(module.shortcut, nn.Identity):
        raise SpaceError("what follows the sum changes what passes, so the block can't start as one that doesn't")
    return zero(module.branch)


@may_drop(ShortcutSum)
def _branches(module: ShortcutSum) -> list[nn.Module]:
    return [module.branch]

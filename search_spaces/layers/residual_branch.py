"""A residual branch: a shortcut around a module, and what joins the two."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from search_spaces.declarations import begins_as_identity, may_drop, transparent


@transparent
class ResidualBranch(nn.Module):
    """`residual(x, branch(x))`."""

    def __init__(self, branch: nn.Module, residual: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.residual = residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.residual(x, self.branch(x))


@begins_as_identity(ResidualBranch)
def _switched_off(module: ResidualBranch, zero: Callable[[Any], bool]) -> bool:
    # A residual that scales the branch switches it off alone; else the branch must end in zeros.
    return zero(module.residual) or zero(module.branch)


@may_drop(ResidualBranch)
def _branches(module: ResidualBranch) -> list[nn.Module]:
    return [module.branch]

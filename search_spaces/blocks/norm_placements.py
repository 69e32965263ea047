"""Where a residual branch normalizes: `build(inner, make_norm, residual)` gives the branch with its shortcut.

`inner` is the branch's module, `make_norm()` gives a fresh normalization each time, `residual(x, branch)` joins.
"""

from collections.abc import Callable

import torch
from torch import nn

from search_spaces.parts import Part, part


class ResidualBranch(nn.Module):
    """`residual(x, branch(x))`."""

    def __init__(self, branch: nn.Module, residual: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.residual = residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.residual(x, self.branch(x))


@part("norm_placement", "pre", source="On Layer Normalization in the Transformer Architecture")
class PreNorm(Part):
    """x + f(norm(x))."""

    def build(self, inner: nn.Module, make_norm: Callable[[], nn.Module], residual: nn.Module) -> nn.Module:
        return ResidualBranch(nn.Sequential(make_norm(), inner), residual)


@part("norm_placement", "post", source="Attention Is All You Need")
class PostNorm(Part):
    """norm(x + f(x))."""

    def build(self, inner: nn.Module, make_norm: Callable[[], nn.Module], residual: nn.Module) -> nn.Module:
        return nn.Sequential(ResidualBranch(inner, residual), make_norm())


@part("norm_placement", "peri", source="Peri-LN: Revisiting Layer Normalization in the Transformer Architecture")
class PeriNorm(Part):
    """x + norm(f(norm(x)))."""

    def build(self, inner: nn.Module, make_norm: Callable[[], nn.Module], residual: nn.Module) -> nn.Module:
        return ResidualBranch(nn.Sequential(make_norm(), inner, make_norm()), residual)

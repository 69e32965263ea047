"""Residuals: `build(site)` gives a module that joins a shortcut and a branch: `module(x, branch)`."""

from typing import Any

import torch
from torch import nn

from search_spaces.example_networks import staged
from search_spaces.families import Family
from search_spaces.site import Site


class Joined(nn.Module):
    """A module of two inputs as one of a single input that stands for both."""

    def __init__(self, residual: nn.Module) -> None:
        super().__init__()
        self.residual = residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.residual(x, x.flip(-1))


class Residuals(Family):
    """How its parts are tested."""

    def module(self, part: Any, site: Site) -> nn.Module:
        return Joined(part.build(site))

    def network(self, part: Any, site: Site) -> Any:
        return staged(site, residual=part)


RESIDUAL = Residuals("residual", __name__)

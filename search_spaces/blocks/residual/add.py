"""The plain residual connection."""

import torch
from torch import nn

from search_spaces.declarations import keeps_zeros, transparent
from search_spaces.parts import Part, part
from search_spaces.site import Site


@transparent
class ResidualAdd(nn.Module):
    """x + branch."""

    def forward(self, x: torch.Tensor, branch: torch.Tensor) -> torch.Tensor:
        return x + branch


keeps_zeros(ResidualAdd)


@part("residual", "add", source="Deep Residual Learning for Image Recognition", sliced=True)
class Add(Part):
    """The plain sum."""

    def build(self, site: Site) -> nn.Module:
        return ResidualAdd()

"""Learned absolute positions."""

from typing import Any

import torch
from torch import nn

from search_spaces.declarations import grows
from search_spaces.parts import Part, part
from search_spaces.site import Site


class AbsolutePositions(nn.Module):
    """x plus a learned map of the same shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.empty(1, *shape))
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.positions


@grows(AbsolutePositions)
def _copied(growth: Any, old: AbsolutePositions, new: AbsolutePositions, path: str) -> None:
    new.positions.copy_(growth.rows(old.positions, new.positions.shape[1], 1))


@part(
    "positional_encoding",
    "absolute",
    source="An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
    sliced=True,
)
class AbsoluteEncoding(Part):
    """One learned vector per position; bound to the resolution it was built for."""

    def weight_branch(self, site: Site) -> str:
        return "map=" + "x".join(map(str, site.sides))

    def build(self, site: Site) -> nn.Module:
        return AbsolutePositions(site.shape)

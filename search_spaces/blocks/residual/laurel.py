"""Learned augmented residual."""

from typing import Any

import torch
from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.by_sides import pointwise
from search_spaces.parts import Part, part, size
from search_spaces.site import Site


class AugmentedResidual(nn.Module):
    """a * branch + b * (x + up(down(x))): learned scalars, and a shortcut with a learned low-rank part."""

    def __init__(self, channels: int, rank: int, sides: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(2))
        self.down: Any = pointwise(sides, channels, rank, bias=False)
        self.up: Any = pointwise(sides, rank, channels, bias=False)
        # It begins as the plain sum.
        nn.init.orthogonal_(self.down.weight)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: torch.Tensor, branch: torch.Tensor) -> torch.Tensor:
        return self.weights[0] * branch + self.weights[1] * (x + self.up(self.down(x)))


@part("residual", "laurel", source="LAuReL: Learned Augmented Residual Layer", sliced=True, sides=(0, 1, 2))
class LAuReL(Part):
    """a f(x) + b (x + B A x), with learned a and b (its "RW") and A, B of rank `rank` (its "LR").

    Both begin as the plain sum: a = b = 1, B = 0. It costs 2 `rank` multiply-accumulates per element of the map. The
    variant that mixes in earlier layers' activations ("PA") isn't here: residuals see one map.
    """

    rank: int = size("width", default=4)

    def validate(self) -> None:
        if self.rank < 1:
            raise SpaceError(f"must be 1 or more, not {self.rank}", "laurel.rank")

    def build(self, site: Site) -> nn.Module:
        return AugmentedResidual(site.channels, self.rank, len(site.sides))

"""Where a residual branch normalizes: `build(site, inner, make_norm, residual)` gives the branch with its shortcut.

`inner` is the branch's module, `make_norm()` gives a fresh normalization each time, `residual(x, branch)` joins.
"""

from typing import Any

import torch
from torch import nn

from search_spaces.example_networks import staged
from search_spaces.families import Family
from search_spaces.layers.by_sides import BATCH_NORMS, pointwise
from search_spaces.site import Site


class Sum(nn.Module):
    """The plainest residual."""

    def forward(self, x: torch.Tensor, branch: torch.Tensor) -> torch.Tensor:
        return x + branch


class NormPlacements(Family):
    """How its parts are tested: around a 1x1 convolution, with batch normalization."""

    def module(self, part: Any, site: Site) -> nn.Module:
        channels, sides = site.channels, len(site.sides)
        mixing = pointwise(sides, channels, channels)
        return part.build(site, mixing, lambda: BATCH_NORMS[sides](channels), Sum())

    def network(self, part: Any, site: Site) -> Any:
        return staged(site, norm_placement=part)


NORM_PLACEMENT = NormPlacements("norm_placement", __name__)

"""Maps brought to the resolution of a network's inputs."""

import torch
from torch import nn
from torch.nn import functional

from search_spaces.declarations import keeps_zeros
from search_spaces.site import Shape, Site


class Upsampled(nn.Module):
    """Maps (batch, channels, high, wide) at other sides, bilinearly, or each pixel as the nearest one of the map."""

    def __init__(self, sides: Shape, nearest: bool) -> None:
        super().__init__()
        self.sides, self.nearest = tuple(sides), nearest

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.nearest:
            return functional.interpolate(x, self.sides, mode="nearest")
        return functional.interpolate(x, self.sides, mode="bilinear", align_corners=False)


keeps_zeros(Upsampled)


def upsampling(before: Shape, after: Shape, nearest: bool = False) -> nn.Module:
    """What brings maps of the sides `before` to those of `after`: nothing where they are the same."""
    return nn.Identity() if tuple(before) == tuple(after) else Upsampled(after, nearest)


def without_inputs(site: Site) -> str | None:
    """Why no head for each position of the inputs can be built at the site, or None where one can."""
    if len(site.inputs) == 3:
        return None
    return f"leads back to the sides of pictures, and the network's inputs are {site.inputs}; take another head"

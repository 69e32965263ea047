"""Positions as sines and cosines."""

from typing import Any

import torch
from torch import nn

from search_spaces.declarations import grows
from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part
from search_spaces.site import Site

LONGEST = 10_000.0
"""The wavelengths go up to 2 pi times this."""


class SinusoidalPositions(nn.Module):
    """x (batch, channels, length) plus sines and cosines of the position; nothing is learned."""

    waves: torch.Tensor

    def __init__(self, channels: int, length: int, scale: float) -> None:
        super().__init__()
        place = torch.arange(channels)
        frequencies = LONGEST ** -((place - place % 2) / channels)
        angles = frequencies[:, None] * torch.arange(length)
        waves = scale * torch.where(place[:, None] % 2 == 0, angles.sin(), angles.cos())
        self.register_buffer("waves", waves, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.waves


@grows(SinusoidalPositions)
def _of_one_width(growth: Any, old: SinusoidalPositions, new: SinusoidalPositions, path: str) -> None:
    if old.waves.shape != new.waves.shape:
        before, after = len(old.waves), len(new.waves)
        raise SpaceError(
            f"the waves of {before} channels are none of those of {after}; give it learned positions to widen"
        )


@part("positional_encoding", "sinusoidal", source="Attention Is All You Need", sliced=True, sides=1)
class SinusoidalEncoding(Part):
    """x_i(t) + s sin(t / 10000^(i/C)) for even channels i of C, and the cosine of the same for the odd one behind.

    `scale` is s, 1 in the publication, whose vectors are about that large.
    """

    scale: float = 1.0

    def validate(self) -> None:
        if self.scale <= 0:
            raise SpaceError(f"must be above 0, not {self.scale}", "sinusoidal.scale")

    def build(self, site: Site) -> nn.Module:
        return SinusoidalPositions(site.channels, site.sides[0], self.scale)

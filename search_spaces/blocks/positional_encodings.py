"""Positional encodings: `build(shape)` gives a module that adds positions to a map, same shape in and out."""

import torch
from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part


class ConditionalPositions(nn.Module):
    """x plus a depthwise convolution of x, whose zero padding tells positions apart."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x)


class AbsolutePositions(nn.Module):
    """x plus a learned map of the same shape."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.empty(1, *shape))
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.positions


@part("positional_encoding", "conditional", source="Conditional Positional Encodings for Vision Transformers")
class ConditionalEncoding(Part):
    """A depthwise convolution with a shortcut; works at any resolution."""

    kernel: int = 3

    def validate(self) -> None:
        if self.kernel < 3 or self.kernel % 2 == 0:
            raise SpaceError(f"must be odd and 3 or more, not {self.kernel}", "conditional.kernel")

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        return ConditionalPositions(shape[0], self.kernel)


@part(
    "positional_encoding",
    "absolute",
    source="An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
)
class AbsoluteEncoding(Part):
    """One learned vector per position; bound to the resolution it was built for."""

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        return AbsolutePositions(shape)

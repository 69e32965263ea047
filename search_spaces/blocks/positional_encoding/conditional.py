"""Conditional positional encoding."""

import torch
from torch import nn

from search_spaces.declarations import transparent
from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part, size
from search_spaces.site import Site


@transparent
class ConditionalPositions(nn.Module):
    """x plus a depthwise convolution of x, whose zero padding tells positions apart."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x)


@part(
    "positional_encoding",
    "conditional",
    source="Conditional Positional Encodings for Vision Transformers",
    sliced=True,
    sides=2,
)
class ConditionalEncoding(Part):
    """A depthwise convolution with a shortcut; works at any resolution."""

    kernel: int = size("kernel", default=3, grows=True)

    def validate(self) -> None:
        if self.kernel < 3 or self.kernel % 2 == 0:
            raise SpaceError(f"must be odd and 3 or more, not {self.kernel}", "conditional.kernel")

    def build(self, site: Site) -> nn.Module:
        return ConditionalPositions(site.channels, self.kernel)

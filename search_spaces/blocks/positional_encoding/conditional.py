"""Conditional positional encoding."""

import torch
from torch import nn

from search_spaces.declarations import transparent
from search_spaces.errors import SpaceError
from search_spaces.layers.depthwise import depthwise, refused
from search_spaces.parts import Part, part, size
from search_spaces.site import Site


@transparent
class ConditionalPositions(nn.Module):
    """x plus a depthwise convolution of x, whose zero padding tells positions apart."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x)


@part(
    "positional_encoding",
    "conditional",
    source="Conditional Positional Encodings for Vision Transformers",
    sliced=True,
    sides=(1, 2),
)
class ConditionalEncoding(Part):
    """A depthwise convolution with a shortcut; works at any resolution.

    `causal`, for sequences, it looks back alone.
    """

    kernel: int = size("kernel", default=3, grows=True)
    causal: bool = False

    def validate(self) -> None:
        if self.kernel < 3 or self.kernel % 2 == 0:
            raise SpaceError(f"must be odd and 3 or more, not {self.kernel}", "conditional.kernel")

    def accepts(self, site: Site) -> str | None:
        return refused(site, self.causal)

    def build(self, site: Site) -> nn.Module:
        return ConditionalPositions(depthwise(site, self.kernel, self.causal))

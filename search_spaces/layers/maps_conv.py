"""The 1x1 convolution of several maps' concatenation."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from search_spaces.declarations import transparent
from search_spaces.layers.by_sides import CONVS, pointwise

LAYERS = (nn.Linear, *CONVS)
"""What mixes the channels of maps of 0, 1, 2 and 3 sides."""


@transparent
class MapsConv(nn.Module):
    """W [x1, ..., xk], the 1x1 convolution of maps of (batch, c_i, *sides) to (batch, width, *sides), without a bias.

    While it learns it is held as one convolution per map, whose outputs are added up: W [x1, ..., xk] is
    W1 x1 + ... + Wk xk. So each part of W slices, and grows, with its own map. Deployed it is one convolution of the
    concatenation. `make_norm(channels)`, where given, normalizes each map before, and `norm` normalizes what comes
    out. Multiply-accumulates: width times the sum of all c_i, per position.
    """

    def __init__(
        self,
        channels: Sequence[int],
        width: int,
        sides: int,
        norm: nn.Module | None = None,
        make_norm: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        convs: list[nn.Module] = []
        for count in channels:
            conv: Any = pointwise(sides, count, width, bias=False)
            # The initial weights are those that one convolution of all channels would have.
            nn.init.uniform_(conv.weight, -(sum(channels) ** -0.5), sum(channels) ** -0.5)
            convs.append(conv if make_norm is None else nn.Sequential(make_norm(count), conv))
        self.convs = nn.ModuleList(convs)
        self.norm = nn.Identity() if norm is None else norm

    def forward(self, *maps: torch.Tensor) -> torch.Tensor:
        if len(self.convs) == 1 < len(maps):
            return self.norm(self.convs[0](torch.cat(maps, 1)))
        total = self.convs[0](maps[0])
        for conv, x in zip(self.convs[1:], maps[1:], strict=True):
            total = total + conv(x)
        return self.norm(total)

    def reparameterize(self) -> None:
        """Become one convolution, where no map is normalized before."""
        if len(self.convs) < 2 or not all(isinstance(conv, LAYERS) for conv in self.convs):
            return
        weight = torch.cat([conv.weight for conv in self.convs], 1)
        sides = weight.dim() - 2
        whole: Any = pointwise(sides, weight.shape[1], weight.shape[0], bias=False).to(weight)
        whole.weight = nn.Parameter(weight.detach(), requires_grad=False)
        self.convs = nn.ModuleList([whole])

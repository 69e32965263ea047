"""Window attention."""

from typing import Any

import torch
from timm.models import swin_transformer
from torch import nn
from torch.nn import functional

from search_spaces.declarations import grows, transparent, zeroed
from search_spaces.errors import SpaceError
from search_spaces.layers.attention_growth import QKV, grow_attention, zero_attention
from search_spaces.parts import Part, Placed, part, shared, size, slot
from search_spaces.site import Site


@transparent
class WindowAttention2d(nn.Module):
    """Multi-head self-attention inside windows of a map, with relative position bias.

    Maps that the windows don't divide are padded below and to the right; padding and, in shifted windows, positions
    that only the cyclic shift brought together are masked.
    """

    mask: torch.Tensor | None

    def __init__(self, shape: tuple[int, ...], heads: int, window: int, shift: bool, positions: nn.Module) -> None:
        super().__init__()
        channels, height, width = shape
        self.window = (min(window, height), min(window, width))
        # A map of one window has nothing to shift.
        self.shift = tuple(
            size // 2 if shift and size < side else 0 for size, side in zip(self.window, (height, width), strict=True)
        )
        self.padding = (-height % self.window[0], -width % self.window[1])
        self.positions = positions
        self.attention = swin_transformer.WindowAttention(channels, heads, window_size=self.window)
        self.register_buffer("mask", self._mask(height, width), persistent=False)

    def _mask(self, height: int, width: int) -> torch.Tensor | None:
        """0 where one position of a window may attend to another and -100 elsewhere, as Swin has it."""
        if not any(self.shift) and not any(self.padding):
            return None
        axes = []
        for side, window, shift, padding in zip((height, width), self.window, self.shift, self.padding, strict=True):
            # Shifted, the last window of an axis holds its end and, wrapped around, its start: two regions.
            region = (
                (torch.arange(side + padding) >= side + padding - shift).long()
                if shift
                else torch.zeros(side + padding, dtype=torch.long)
            )
            real = (torch.arange(side + padding) < side).long().roll(-shift)
            axes.append((2 * region + real).view(-1, window))
        regions = 4 * axes[0][:, None, :, None] + axes[1][None, :, None, :]
        regions = regions.reshape(len(axes[0]) * len(axes[1]), 1, -1)
        return (regions != regions.transpose(1, 2)).float() * -100.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[2:]
        x = self.positions(x).permute(0, 2, 3, 1)
        if any(self.padding):
            x = functional.pad(x, (0, 0, 0, self.padding[1], 0, self.padding[0]))
        if any(self.shift):
            x = x.roll((-self.shift[0], -self.shift[1]), (1, 2))
        batch, rows, columns, channels = x.shape
        high, wide = self.window
        x = x.view(batch, rows // high, high, columns // wide, wide, channels).transpose(2, 3)
        x = self.attention(x.reshape(-1, high * wide, channels), self.mask)
        x = x.view(batch, rows // high, columns // wide, high, wide, channels).transpose(2, 3)
        x = x.reshape(batch, rows, columns, channels)
        if any(self.shift):
            x = x.roll(self.shift, (1, 2))
        return x[:, :height, :width].permute(0, 3, 1, 2)


grows(swin_transformer.WindowAttention)(grow_attention)
zeroed(WindowAttention2d)(zero_attention)


@part(
    "token_mixer",
    "window_attention",
    source="Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
    sliced=True,
    chunks=QKV,
    sides=2,
)
class WindowAttention(Part):
    """Positions attend inside windows of `window` x `window`, shifted by half a window when `shift`.

    A map smaller than the window is one window; `heads` must divide the channels.
    """

    heads: int = size("heads", default=4)
    window: int = size("window", default=7)
    shift: bool = shared(default=False)
    positional_encoding: Any = slot("positional_encoding", default=None)

    def validate(self) -> None:
        if self.heads < 1:
            raise SpaceError(f"must be 1 or more, not {self.heads}", "window_attention.heads")
        if self.window < 2:
            raise SpaceError(f"must be 2 or more, not {self.window}", "window_attention.window")

    def accepts(self, site: Site) -> str | None:
        fits = site.channels % self.heads == 0
        return None if fits else f"{site.channels} channels don't divide into {self.heads} heads"

    def parts_at(self, site: Site) -> list[Placed]:
        return [("positional_encoding", self.positional_encoding, site)]

    def weight_branch(self, site: Site) -> str:
        """A bias table belongs to one size of window, which a small map cuts."""
        return "window={}x{}".format(*(min(self.window, side) for side in site.sides))

    def build(self, site: Site) -> nn.Module:
        encoding = self.positional_encoding
        positions = nn.Identity() if encoding is None else encoding.build(site)
        return WindowAttention2d(site.shape, self.heads, self.window, self.shift, positions)

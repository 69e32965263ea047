"""Token mixers with attention: `build(shape)` gives a module that mixes positions, same shape in and out."""

from typing import Any

import torch
from timm.layers import Attention
from timm.models import swin_transformer
from torch import nn
from torch.nn import functional

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part, slot


class GlobalAttention2d(nn.Module):
    """Multi-head self-attention over all positions of a map."""

    def __init__(self, channels: int, heads: int, positions: nn.Module) -> None:
        super().__init__()
        self.positions = positions
        self.attention = Attention(channels, heads, qkv_bias=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        tokens = self.positions(x).flatten(2).transpose(1, 2)
        return self.attention(tokens).transpose(1, 2).reshape(batch, channels, height, width)


class WindowAttention2d(nn.Module):
    """Multi-head self-attention inside windows of a map, with relative position bias.

    Maps that the windows don't divide are padded below and to the right; padding and, in shifted windows, positions
    that only the cyclic shift brought together are masked.
    """

    mask: torch.Tensor | None

    def __init__(self, shape: tuple[int, int, int], heads: int, window: int, shift: bool, positions: nn.Module) -> None:
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


@part("token_mixer", "self_attention", source="Attention Is All You Need")
class SelfAttention(Part):
    """Every position attends to every other; `heads` must divide the channels."""

    heads: int = 4
    positional_encoding: Any = slot("positional_encoding", default=None)

    def validate(self) -> None:
        if self.heads < 1:
            raise SpaceError(f"must be 1 or more, not {self.heads}", "self_attention.heads")

    def accepts(self, shape: tuple[int, ...]) -> str | None:
        return None if shape[0] % self.heads == 0 else f"{shape[0]} channels don't divide into {self.heads} heads"

    def parts_at(self, shape: tuple[int, int, int]) -> list[tuple[str, Any, tuple[int, int, int]]]:
        return [("positional_encoding", self.positional_encoding, shape)]

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        encoding = self.positional_encoding
        return GlobalAttention2d(shape[0], self.heads, nn.Identity() if encoding is None else encoding.build(shape))


@part(
    "token_mixer", "window_attention", source="Swin Transformer: Hierarchical Vision Transformer using Shifted Windows"
)
class WindowAttention(Part):
    """Positions attend inside windows of `window` x `window`, shifted by half a window when `shift`.

    A map smaller than the window is one window; `heads` must divide the channels.
    """

    heads: int = 4
    window: int = 7
    shift: bool = False
    positional_encoding: Any = slot("positional_encoding", default=None)

    def validate(self) -> None:
        if self.heads < 1:
            raise SpaceError(f"must be 1 or more, not {self.heads}", "window_attention.heads")
        if self.window < 2:
            raise SpaceError(f"must be 2 or more, not {self.window}", "window_attention.window")

    def accepts(self, shape: tuple[int, ...]) -> str | None:
        return None if shape[0] % self.heads == 0 else f"{shape[0]} channels don't divide into {self.heads} heads"

    def parts_at(self, shape: tuple[int, int, int]) -> list[tuple[str, Any, tuple[int, int, int]]]:
        return [("positional_encoding", self.positional_encoding, shape)]

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        encoding = self.positional_encoding
        positions = nn.Identity() if encoding is None else encoding.build(shape)
        return WindowAttention2d(shape, self.heads, self.window, self.shift, positions)

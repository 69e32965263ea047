"""Bilinear upsampling by its definition, for the heads of dense prediction."""

import torch


def upsampled(x: torch.Tensor, sides: tuple[int, ...]) -> torch.Tensor:
    """A map at other sides: each pixel's centre falls between two of the map's along each side, clamped at its ends."""
    for dim, size in zip((2, 3), sides, strict=True):
        before = x.shape[dim]
        place = ((torch.arange(size, dtype=x.dtype) + 0.5) * before / size - 0.5).clamp(0, before - 1)
        first = place.floor().long()
        second = (first + 1).clamp(max=before - 1)
        share = (place - first).view(-1, *[1] * (3 - dim))
        x = x.index_select(dim, first) * (1 - share) + x.index_select(dim, second) * share
    return x

"""How raw examples become what a network takes: a module, so that an export can carry it along."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Preparation(nn.Module):
    """Base of preparations: from raw inputs (batch, ...) to what a network takes; it learns nothing."""

    def describe(self) -> str:
        """In a few words, for whoever has to do the same elsewhere."""
        return type(self).__name__


class Normalization(Preparation):
    """Numbers (batch, channels, *sides) with zero mean and unit variance per channel: ((x / scale) - mean) / std.

    `mean` and `std`, one per channel, are in units after the division by `scale`, which is 255 for uint8 pictures.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))

    mean: Tensor
    std: Tensor

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, *[1] * (x.ndim - 2))
        mean, std = self.mean.to(x.device).view(shape), self.std.to(x.device).view(shape)
        return (x.float() / self.scale - mean) / std

    def describe(self) -> str:
        mean, std = ([round(value, 6) for value in values.tolist()] for values in (self.mean, self.std))
        given = f"values / {self.scale:g}" if self.scale != 1 else "values"
        return f"({given} - mean) / std per channel, {mean=}, {std=}"


class Ids(Preparation):
    """Numbers of tokens (batch, length), as int64."""

    def forward(self, x: Tensor) -> Tensor:
        return x.long()

    def describe(self) -> str:
        return "none: numbers of tokens as they are"

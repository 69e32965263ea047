"""Random erasing."""

from math import log
from typing import Any, ClassVar

import torch
from torch import Tensor

from evaluators.recipes.augmentation import Augmentation
from search_spaces.errors import SpaceError
from search_spaces.parts import part

RATIO = 10 / 3
"""The longer side of what is erased over the shorter one, at most."""


@part("augmentation", "random_erasing", source="Random Erasing Data Augmentation")
class RandomErasing(Augmentation):
    """With probability `p`, a rectangle of the picture, from 2 % to `largest` of its area, becomes noise.

    The noise is normal, of mean 0 and variance 1 as prepared pictures are. Masks stay as they are.
    """

    p: float = 0.5
    largest: float = 0.4

    media: ClassVar[tuple[str, ...]] = ("pictures", "spectrograms")

    def validate(self) -> None:
        if not 0 <= self.p <= 1:
            raise SpaceError(f"must be from 0 to 1, not {self.p!r}", "random_erasing.p")
        if not 0.02 <= self.largest <= 1:
            raise SpaceError(f"must be a share from 0.02 to 1, not {self.largest!r}", "random_erasing.largest")

    def applied(self, inputs: Tensor, targets: Tensor, data: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        n, _, height, width = inputs.shape
        erased, area, ratio, down, across = torch.rand(5, n, generator=generator)
        area = (0.02 + (self.largest - 0.02) * area) * height * width
        ratio = torch.exp((2 * ratio - 1) * log(RATIO))
        rows = _stretch(height, (area * ratio).sqrt(), down)
        columns = _stretch(width, (area / ratio).sqrt(), across)
        cut = rows.unsqueeze(2) & columns.unsqueeze(1) & (erased < self.p).view(-1, 1, 1)
        noise = torch.randn(inputs.shape, generator=generator).to(inputs)
        return torch.where(cut.unsqueeze(1).to(inputs.device), noise, inputs), targets


def _stretch(size: int, length: Tensor, where: Tensor) -> Tensor:
    """(n, size): which pixels along a side are within stretches of a length, anywhere by `where` from 0 to 1."""
    length = length.round().clamp(1, size).unsqueeze(1)
    first = (where.unsqueeze(1) * (size - length + 1)).floor()
    places = torch.arange(size)
    return (places >= first) & (places < first + length)

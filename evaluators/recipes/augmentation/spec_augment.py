"""SpecAugment."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from evaluators.recipes.augmentation import Augmentation
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part(
    "augmentation",
    "spec_augment",
    source="SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition",
)
class SpecAugment(Augmentation):
    """Stretches of bands and of frames become 0, the mean of prepared spectrograms; `times` of either.

    Each is from nothing to the share `bands` or `frames` long, evenly. The paper's time warping, which it finds to
    bring little, is left out.
    """

    bands: float = 0.3
    frames: float = 0.2
    times: int = 2

    media: ClassVar[tuple[str, ...]] = ("spectrograms",)

    def validate(self) -> None:
        for name in ("bands", "frames"):
            if not 0 <= getattr(self, name) <= 1:
                raise SpaceError(f"must be a share from 0 to 1, not {getattr(self, name)!r}", f"spec_augment.{name}")
        if not isinstance(self.times, int) or self.times < 1:
            raise SpaceError(f"must be an integer of 1 or more, not {self.times!r}", "spec_augment.times")

    def applied(self, inputs: Tensor, targets: Tensor, data: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        n, _, bands, frames = inputs.shape
        masked = torch.zeros(n, bands, frames, dtype=torch.bool)
        for _ in range(self.times):
            masked |= _stretch(bands, self.bands, n, generator).unsqueeze(2)
            masked |= _stretch(frames, self.frames, n, generator).unsqueeze(1)
        return inputs.masked_fill(masked.unsqueeze(1).to(inputs.device), 0.0), targets


def _stretch(size: int, share: float, n: int, generator: torch.Generator) -> Tensor:
    """(n, size): a random stretch of 0 to `share` times `size` places in each of n rows."""
    length, where = torch.rand(2, n, 1, generator=generator)
    length = (length * (int(share * size) + 1)).floor()
    first = (where * (size - length + 1)).floor()
    places = torch.arange(size)
    return (places >= first) & (places < first + length)

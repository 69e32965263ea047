"""Gaussian noise."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from evaluators.recipes.augmentation import Augmentation
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part("augmentation", "gaussian_noise", source="Training with Noise is Equivalent to Tikhonov Regularization")
class GaussianNoise(Augmentation):
    """Normal noise of deviation `std` on every value of the prepared inputs, whose own deviation is about 1."""

    std: float = 0.1

    media: ClassVar[tuple[str, ...]] = ("pictures", "spectrograms", "tables")

    def validate(self) -> None:
        if not self.std > 0:
            raise SpaceError(f"must be above 0, not {self.std!r}", "gaussian_noise.std")

    def applied(self, inputs: Tensor, targets: Tensor, data: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return inputs + self.std * torch.randn(inputs.shape, generator=generator).to(inputs), targets

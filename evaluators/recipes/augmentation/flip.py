"""Random mirroring."""

from typing import Any

import torch
from torch import Tensor

from evaluators.recipes.augmentation import Augmentation, has_masks
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part("augmentation", "flip", source="ImageNet Classification with Deep Convolutional Neural Networks")
class Flip(Augmentation):
    """Each picture is mirrored, left to right, with probability `p`."""

    p: float = 0.5

    def validate(self) -> None:
        if not 0 <= self.p <= 1:
            raise SpaceError(f"must be from 0 to 1, not {self.p!r}", "flip.p")

    def applied(self, inputs: Tensor, targets: Tensor, data: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        mirrored = (torch.rand(len(inputs), generator=generator) < self.p).to(inputs.device)
        if has_masks(data):
            targets = torch.where(mirrored.view(-1, *[1] * (targets.ndim - 1)), targets.flip(-1), targets)
        return torch.where(mirrored.view(-1, 1, 1, 1), inputs.flip(3), inputs), targets

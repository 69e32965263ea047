"""RandAugment."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from evaluators.recipes.augmentation import Augmentation
from search_spaces.errors import SpaceError
from search_spaces.parts import part

BINS = 30
"""The largest magnitude."""


@part(
    "augmentation",
    "rand_augment",
    source="RandAugment: Practical automated data augmentation with a reduced search space",
)
class RandAugment(Augmentation):
    """`operations` random ones of 14 (shears, shifts, rotation, colours, …), one after another, at one `magnitude`.

    A magnitude is from 0 to 30; what it means for each operation is as in torchvision.
    """

    operations: int = 2
    magnitude: int = 9

    masks: ClassVar[bool] = False

    def validate(self) -> None:
        if not isinstance(self.operations, int) or self.operations < 1:
            raise SpaceError(f"must be an integer of 1 or more, not {self.operations!r}", "rand_augment.operations")
        if not isinstance(self.magnitude, int) or not 0 <= self.magnitude <= BINS:
            raise SpaceError(f"must be an integer from 0 to {BINS}, not {self.magnitude!r}", "rand_augment.magnitude")

    def refuses(self, data: Any) -> str | None:
        wrong = super().refuses(data)
        if wrong is None and data.inputs[0] not in (1, 3):
            return f"takes pictures of 1 or 3 channels, and these have {data.inputs[0]}"
        return wrong

    def applied(self, inputs: Tensor, targets: Tensor, data: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        from evaluators.recipes.augmentation._operations import OPERATIONS, transformed

        height, width = inputs.shape[2:]
        for _ in range(self.operations):
            chosen = torch.randint(0, len(OPERATIONS), (len(inputs),), generator=generator)
            signs = 1 - 2 * torch.randint(0, 2, (len(inputs),), generator=generator)

            def strength(name: str, bin: int) -> float:
                return strength_of(name, self.magnitude, height, width)

            inputs = transformed(inputs, data, chosen, strength, signs)
        return inputs, targets


def strength_of(name: str, magnitude: int, height: int, width: int) -> float:
    """What a magnitude from 0 to 30 means for an operation."""
    share = magnitude / BINS
    most = {"shear_x": 0.3, "shear_y": 0.3, "rotate": 30.0}
    most |= {"translate_x": 150 / 331 * width, "translate_y": 150 / 331 * height}
    if name == "posterize":
        return 8 - round(magnitude / (BINS / 4))
    if name == "solarize":
        return 1 - share
    return most.get(name, 0.9) * share

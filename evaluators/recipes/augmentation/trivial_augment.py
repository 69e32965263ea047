"""TrivialAugment."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from evaluators.recipes.augmentation import Augmentation
from search_spaces.parts import part

BINS = 30
"""The largest strength that is drawn."""


@part("augmentation", "trivial_augment", source="TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation")
class TrivialAugment(Augmentation):
    """One random operation of RandAugment's 14 for each picture, at a random strength; there is nothing to tune.

    The strengths go as far as the paper's wide space does.
    """

    masks: ClassVar[bool] = False

    def refuses(self, data: Any) -> str | None:
        wrong = super().refuses(data)
        if wrong is None and data.inputs[0] not in (1, 3):
            return f"takes pictures of 1 or 3 channels, and these have {data.inputs[0]}"
        return wrong

    def applied(self, inputs: Tensor, targets: Tensor, data: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        from evaluators.recipes.augmentation._operations import OPERATIONS, transformed

        n = len(inputs)
        chosen = torch.randint(0, len(OPERATIONS), (n,), generator=generator)
        bins = torch.randint(0, BINS + 1, (n,), generator=generator)
        signs = 1 - 2 * torch.randint(0, 2, (n,), generator=generator)
        return transformed(inputs, data, chosen, strength_of, bins * signs), targets


def strength_of(name: str, bin: int) -> float:
    """What a strength from 0 to 30 means for an operation."""
    share = bin / BINS
    most = {"rotate": 135.0, "translate_x": 32.0, "translate_y": 32.0}
    if name == "posterize":
        return 8 - round(bin / (BINS / 6))
    if name == "solarize":
        return 1 - share
    return most.get(name, 0.99) * share

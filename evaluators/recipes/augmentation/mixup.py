"""mixup."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from evaluators.recipes.augmentation import Augmentation
from evaluators.recipes.augmentation._mixing import mixed, partners
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part("augmentation", "mixup", source="mixup: Beyond Empirical Risk Minimization")
class Mixup(Augmentation):
    """Each example is the mean of itself and another one, and so is its target; its own share is Beta(alpha, alpha)."""

    alpha: float = 0.2

    media: ClassVar[tuple[str, ...]] = ("pictures", "spectrograms", "tables")
    masks: ClassVar[bool] = False

    def validate(self) -> None:
        if not self.alpha > 0:
            raise SpaceError(f"must be above 0, not {self.alpha!r}", "mixup.alpha")

    def applied(self, inputs: Tensor, targets: Tensor, data: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        order, shares = partners(len(inputs), self.alpha, generator)
        order = order.to(inputs.device)
        return mixed(inputs, order, shares), mixed(data.task.mixed(targets), order, shares)

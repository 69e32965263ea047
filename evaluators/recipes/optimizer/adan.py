"""Adan."""

from typing import Any

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)

import timm.optim
import torch

from evaluators.recipes.optimizer import Optimizer
from search_spaces.parts import part


@part("optimizer", "adan", source="Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models")
class Adan(Optimizer):
    """Averages of gradients, of their differences and of the squares of both together: Nesterov's step, foreseen.

    The betas are timm's, 1 less those that the publication writes.
    """

    beta1: float = 0.98
    beta2: float = 0.92
    beta3: float = 0.99

    def made(self, groups: list[dict[str, Any]], recipe: Any) -> torch.optim.Optimizer:
        return timm.optim.Adan(groups, lr=recipe.lr, betas=(self.beta1, self.beta2, self.beta3))

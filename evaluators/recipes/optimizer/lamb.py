"""LAMB."""

from typing import Any

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)

import timm.optim
import torch

from evaluators.recipes.optimizer import Optimizer
from search_spaces.parts import part


@part("optimizer", "lamb", source="Large Batch Optimization for Deep Learning: Training BERT in 76 minutes")
class Lamb(Optimizer):
    """Adam whose step in each weight tensor is as long as the tensor's norm says, for large batches.

    Gradients are bounded by the recipe's `clip` alone.
    """

    beta1: float = 0.9
    beta2: float = 0.999

    def made(self, groups: list[dict[str, Any]], recipe: Any) -> torch.optim.Optimizer:
        return timm.optim.Lamb(groups, lr=recipe.lr, betas=(self.beta1, self.beta2), max_grad_norm=None)

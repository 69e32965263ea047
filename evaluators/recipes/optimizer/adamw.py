"""AdamW."""

from typing import Any

import torch

from evaluators.recipes.optimizer import Optimizer
from search_spaces.parts import part


@part("optimizer", "adamw", source="Decoupled Weight Decay Regularization")
class AdamW(Optimizer):
    """Adam with weight decay apart from the gradient; `beta1` and `beta2` are its averages' decays per step."""

    beta1: float = 0.9
    beta2: float = 0.999

    def made(self, groups: list[dict[str, Any]], recipe: Any) -> torch.optim.Optimizer:
        return torch.optim.AdamW(groups, lr=recipe.lr, betas=(self.beta1, self.beta2), fused=True)

"""Stochastic gradient descent."""

from typing import Any, ClassVar

import torch

from evaluators.recipes.optimizer import Optimizer
from search_spaces.parts import part


@part(
    "optimizer",
    "sgd",
    source="On the importance of initialization and momentum in deep learning",
)
class SGD(Optimizer):
    """Gradient descent with Nesterov's momentum, which is the recipe's field `momentum`."""

    uses_momentum: ClassVar[bool] = True

    def made(self, groups: list[dict[str, Any]], recipe: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=True)

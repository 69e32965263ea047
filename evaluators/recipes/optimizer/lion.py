"""Lion."""

from typing import Any

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)

import timm.optim
import torch

from evaluators.recipes.optimizer import Optimizer
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part("optimizer", "lion", source="Symbolic Discovery of Optimization Algorithms")
class Lion(Optimizer):
    """Steps by the sign of an average of gradients alone, all of one length.

    That length is the rate itself, so it takes `rate` times the recipe's, and by as much more weight decay: the product
    of both is then what the recipe says, and one recipe suits Lion and AdamW ("3-10x smaller", the paper finds).
    """

    rate: float = 0.2
    beta1: float = 0.9
    beta2: float = 0.99

    def validate(self) -> None:
        if not self.rate > 0:
            raise SpaceError(f"must be above 0, not {self.rate!r}", "lion.rate")

    def made(self, groups: list[dict[str, Any]], recipe: Any) -> torch.optim.Optimizer:
        own = [
            {**group, "share": group.get("share", 1.0) * self.rate, "weight_decay": group["weight_decay"] / self.rate}
            for group in groups
        ]
        return timm.optim.Lion(own, lr=recipe.lr * self.rate, betas=(self.beta1, self.beta2))

"""The first polynomial loss."""

from typing import Any

from torch import Tensor
from torch.nn import functional

from evaluators.recipes.loss import Loss, LossFunction
from evaluators.tasks import IGNORED, Task
from search_spaces.parts import part


@part("loss", "poly", source="PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions")
class Poly(Loss):
    """Poly-1: the task's cross-entropy, and `epsilon` times 1 - p of the right class, averaged."""

    epsilon: float = 1.0

    kinds = ("categorical",)

    def made(self, task: Task, recipe: Any) -> LossFunction:
        smoothing, balance = recipe.label_smoothing, recipe.balance_of(task)

        def loss(outputs: Tensor, targets: Tensor) -> Tensor:
            counted = targets.sum(1) > 0 if targets.is_floating_point() else targets != IGNORED
            wanted = targets if targets.is_floating_point() else task.mixed(targets)
            right = (functional.softmax(outputs, 1) * wanted).sum(1)
            missed = ((1 - right) * counted).sum() / counted.sum().clamp(min=1)
            return task.loss(outputs, targets, smoothing, balance) + self.epsilon * missed

        return loss

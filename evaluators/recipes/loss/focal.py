"""The focal loss."""

from typing import Any

from torch import Tensor
from torch.nn import functional

from evaluators.recipes.loss import Loss, LossFunction, each_class, weighted_mean
from evaluators.tasks import Task
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part("loss", "focal", source="Focal Loss for Dense Object Detection")
class Focal(Loss):
    """Binary cross-entropy of each class, less of it the surer the network is: times (1 - p)^`gamma`.

    `alpha` weighs what is there, 1 - `alpha` what isn't; an alpha of 0 leaves both at 1.
    """

    gamma: float = 2.0
    alpha: float = 0.25

    kinds = ("categorical", "binary")

    def validate(self) -> None:
        if not self.gamma >= 0:
            raise SpaceError(f"must be 0 or more, not {self.gamma!r}", "focal.gamma")
        if not 0 <= self.alpha < 1:
            raise SpaceError(f"must be from 0 to below 1, not {self.alpha!r}", "focal.alpha")

    def made(self, task: Task, recipe: Any) -> LossFunction:
        def loss(outputs: Tensor, targets: Tensor) -> Tensor:
            wanted, counted = each_class(outputs, targets, recipe.label_smoothing)
            losses = functional.binary_cross_entropy_with_logits(outputs, wanted, reduction="none")
            found = outputs.sigmoid()
            sure = found * wanted + (1 - found) * (1 - wanted)
            losses = losses * (1 - sure) ** self.gamma
            if self.alpha:
                losses = losses * (self.alpha * wanted + (1 - self.alpha) * (1 - wanted))
            weights = task.class_weights(recipe.balance_of(task), outputs.device)
            return weighted_mean(losses, counted, weights)

        return loss

"""Binary cross-entropy of each class by itself."""

from typing import Any

from torch import Tensor
from torch.nn import functional

from evaluators.recipes.loss import Loss, LossFunction, each_class, weighted_mean
from evaluators.tasks import Task
from search_spaces.parts import part


@part("loss", "binary", source="ResNet strikes back: An improved training procedure in timm")
class Binary(Loss):
    """Each class against all others, by binary cross-entropy; of one class of several, too."""

    kinds = ("categorical", "binary")

    def made(self, task: Task, recipe: Any) -> LossFunction:
        def loss(outputs: Tensor, targets: Tensor) -> Tensor:
            wanted, counted = each_class(outputs, targets, recipe.label_smoothing)
            losses = functional.binary_cross_entropy_with_logits(outputs, wanted, reduction="none")
            weights = task.class_weights(recipe.balance_of(task), outputs.device)
            return weighted_mean(losses, counted, weights)

        return loss

"""Cross-entropy."""

from typing import Any

from torch import Tensor
from torch.nn import functional

from evaluators.recipes.loss import Loss, LossFunction
from evaluators.tasks import Task
from search_spaces.parts import part


@part("loss", "cross_entropy", source="Rethinking the Inception Architecture for Computer Vision")
class CrossEntropy(Loss):
    """The cross-entropy of one class of several, with the recipe's label smoothing and class weights."""

    kinds = ("categorical",)

    def made(self, task: Task, recipe: Any) -> LossFunction:
        def loss(outputs: Tensor, targets: Tensor) -> Tensor:
            weights = task.class_weights(recipe.balance_of(task), outputs.device)
            return functional.cross_entropy(outputs, targets, weights, label_smoothing=recipe.label_smoothing)

        return loss

"""Losses in place of a task's own."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.recipes import Member
from evaluators.tasks import IGNORED, Task
from search_spaces.families import Family

LOSS = Family("loss", __name__)

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""From float32 outputs and targets, as the task gives them to losses, to the mean loss."""


class Loss(Member):
    """A loss. `kinds` are the kinds of tasks that it is for."""

    kinds: ClassVar[tuple[str, ...]] = ("categorical", "binary", "numeric")

    @abstractmethod
    def made(self, task: Task, recipe: Any) -> LossFunction:
        """The loss of a task under a recipe, whose `label_smoothing` and `balance_of(task)` it heeds."""

    def refuses(self, data: Any) -> str | None:
        if data.task.kind in self.kinds:
            return None
        return f"is for {' and '.join(self.kinds)} outputs, and those of this task are {data.task.kind}"


def each_class(outputs: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Targets 0 to 1 of the outputs' shape, and which of them count (1, or 0 for what is unlabelled).

    Of integers, one class of several; the targets of each class by itself are mixed with 1/2 by `smoothing`.
    """
    counted = torch.ones_like(outputs)
    if targets.is_floating_point():
        wanted = targets
    else:
        known = targets != IGNORED
        wanted = functional.one_hot(targets.clamp(min=0), outputs.shape[1]).movedim(-1, 1).to(outputs.dtype)
        counted = counted * known.unsqueeze(1)
    return wanted * (1 - smoothing) + smoothing / 2, counted


def weighted_mean(losses: Tensor, counted: Tensor, weights: Tensor | None) -> Tensor:
    """The mean over what counts, each class (dimension 1) with its weight."""
    if weights is not None:
        losses = losses * weights.view(1, -1, *[1] * (losses.ndim - 2))
    return (losses * counted).sum() / counted.sum().clamp(min=1)

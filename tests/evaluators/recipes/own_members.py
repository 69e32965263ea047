"""A user's own members of a recipe, one file."""

from typing import Any

import torch
from torch import Tensor

from evaluators.recipes.augmentation import Augmentation
from evaluators.recipes.loss import Loss, LossFunction
from evaluators.recipes.optimizer import Optimizer
from evaluators.tasks import Task
from search_spaces.parts import part


@part("optimizer", "sign_descent", source="signSGD: Compressed Optimisation for Non-Convex Problems")
class SignDescent(Optimizer):
    """Steps by the gradient's sign alone."""

    rate: float = 0.1

    def made(self, groups: list[dict[str, Any]], recipe: Any) -> torch.optim.Optimizer:
        class Descent(torch.optim.Optimizer):
            @torch.no_grad()
            def step(self, closure: Any = None) -> None:
                for group in self.param_groups:
                    for p in group["params"]:
                        if p.grad is not None:
                            p -= group["lr"] * p.grad.sign()

        own = [{**group, "share": group.get("share", 1.0) * self.rate} for group in groups]
        return Descent(own, {"lr": recipe.lr})


@part("augmentation", "dimmed", source="ImageNet Classification with Deep Convolutional Neural Networks")
class Dimmed(Augmentation):
    """Every picture times a number from `least` to 1."""

    least: float = 0.5

    def applied(self, inputs: Tensor, targets: Tensor, data: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        shares = self.least + (1 - self.least) * torch.rand(len(inputs), generator=generator)
        return inputs * shares.to(inputs).view(-1, 1, 1, 1), targets


@part("loss", "squared", source="Evaluation of Neural Architectures Trained with Square Loss vs Cross-Entropy")
class Squared(Loss):
    """The squared error of probabilities."""

    kinds = ("categorical",)

    def made(self, task: Task, recipe: Any) -> LossFunction:
        return lambda outputs, targets: (outputs.softmax(1) - task.mixed(targets)).square().sum(1).mean()


class Undecorated(Loss):
    """It has no name to be known by."""

"""What a network is trained to make small: a task's loss, or a recipe's, and what its teacher says."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from evaluators.datasets import DataSet
from evaluators.recipe import check_recipe, loss_of, members
from evaluators.recipes.partial import PartialRecipe
from evaluators.recipes.training import Recipe
from evaluators.trained_networks import trained_network
from search_spaces.holes import OneOf


def check_searched(recipe: PartialRecipe, data: DataSet) -> None:
    """Raise `WrongUse`, one line, for what a searched recipe may hold that can't be used to train on `data`."""
    check_recipe(recipe, data)
    for teacher in members(recipe.teacher, "teacher"):
        if not isinstance(getattr(teacher, "network", ""), OneOf):
            teacher.made(partial(trained_network, data=data, device="cpu"))


class TrainingLoss:
    """The loss of a candidate's batches; `origin` has the hash of its teacher's weights, if it has one."""

    def __init__(self, recipe: Recipe, data: DataSet, device: str) -> None:
        self.task, self.loss = data.task, loss_of(data.task, recipe)
        self.origin: dict[str, str] = {}
        self._teacher, self._network = recipe.one("teacher"), nn.Module()
        if self._teacher is not None:
            self._network, self.origin["teacher"] = self._teacher.made(
                partial(trained_network, data=data, device=device)
            )

    def criterion(self, inputs: Tensor, targets: Tensor) -> Callable[[Tensor], Tensor]:
        """From outputs for a batch, of any precision, to its loss; a teacher is given the very same inputs."""

        def plain(outputs: Tensor) -> Tensor:
            return self.loss(outputs.float(), targets)

        if self._teacher is None:
            return plain
        with torch.no_grad():
            wanted = self._network(inputs).float()
        taught = self._teacher.taught(plain, wanted, self.task)
        return lambda outputs: taught(outputs.float())

"""Augmentation of batches, as a recipe says."""

import torch
from torch import Tensor

from evaluators.datasets import DataSet
from evaluators.recipes.training import Recipe
from search_spaces.families import FAMILIES

SHORT = {"none": (), "shift": ("shift",), "flip": ("shift", "flip")}
"""What the words of a recipe's field `augmentation` stand for."""


class Augmenting:
    """A recipe's augmentations on a data set: those of its short field `augmentation`, then the others, in order."""

    def __init__(self, recipe: Recipe, data: DataSet) -> None:
        kind = data.augmentation if recipe.augmentation == "auto" else recipe.augmentation
        short = tuple(FAMILIES["augmentation"].get(name)() for name in SHORT[kind])
        self.data, self.parts = data, (*short, *recipe.parts("augmentations"))

    def __call__(self, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The batch, changed; all draws come from `generator`, a CPU generator."""
        for part in self.parts:
            inputs, targets = part.applied(inputs, targets, self.data, generator)
        return inputs, targets

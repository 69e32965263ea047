"""Optimizers: how gradients become steps."""

from abc import abstractmethod
from typing import Any, ClassVar

import torch

from evaluators.recipes import Member
from search_spaces.families import Family

OPTIMIZER = Family("optimizer", __name__)


class Optimizer(Member):
    """An optimizer. `uses_momentum` says that it reads the recipe's field `momentum`."""

    uses_momentum: ClassVar[bool] = False

    @abstractmethod
    def made(self, groups: list[dict[str, Any]], recipe: Any) -> torch.optim.Optimizer:
        """Torch's object for groups of parameters at the rate `recipe.lr`.

        A group has `params` and `weight_decay`, and maybe `share`, its share of every rate, which whoever trains
        multiplies in. All that a training goes on from must be in the object's state, or in tensors of its groups.
        """

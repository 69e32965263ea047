"""A recipe's optimizer for a network: its groups of parameters, and the rate of every step."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from evaluators.layers import layers
from evaluators.recipes.training import Recipe


def optimizer_for(model: nn.Module, recipe: Recipe, beside: Sequence[nn.Module] = ()) -> torch.optim.Optimizer:
    """The recipe's optimizer; vectors and scalars (biases, normalizations, layer scales) aren't decayed.

    Layers learn at the rates that the recipe's `learning` says, and those that don't learn no longer ask for
    gradients. `beside` are further modules, which learn at the full rate.
    """
    if recipe.learning == "all":
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        groups = _groups(parameters, recipe)
    else:
        groups = _groups_by_layer(model, recipe)
    for module in beside:
        groups += _groups(list(module.parameters()), recipe)
    return recipe.one("optimizer").made(groups, recipe)


def _groups(parameters: Sequence[nn.Parameter], recipe: Recipe) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _groups_by_layer(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    found = layers(model)
    groups = []
    for layer, share in zip(found, recipe.one("learning").shares(len(found)), strict=True):
        learning = [parameter for parameter in layer.parameters if parameter.requires_grad]
        if share:
            groups += [{**group, "share": share} for group in _groups(learning, recipe)]
        else:
            for parameter in learning:
                parameter.requires_grad_(False)
    return groups


def still(model: nn.Module) -> list[nn.Module]:
    """The batch normalizations of layers that don't learn: their statistics are to stay, too."""
    resting = [layer for layer in layers(model) if not any(p.requires_grad for p in layer.parameters)]
    kinds = nn.modules.batchnorm._BatchNorm
    return [module for layer in resting if layer.parameters for module in layer.modules if isinstance(module, kinds)]


class Pace:
    """Sets the rate, and where the schedule says so the momentum, of each step."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.schedule = recipe, recipe.one("schedule")

    def set(self, optimizer: torch.optim.Optimizer, step: int, steps: int) -> None:
        """Make the optimizer ready for step number `step` (from 0) of a full training's `steps`."""
        lr = self.schedule.rate(self.recipe.lr, step, steps, self.recipe.warmup)
        momentum = self.schedule.momentum(step, steps)
        for group in optimizer.param_groups:
            group["lr"] = lr * group.get("share", 1.0)
            if momentum is not None and "betas" in group:
                group["betas"] = (momentum, group["betas"][1])
            if momentum is not None and group.get("momentum"):  # 0 says that there is to be none.
                group["momentum"] = momentum

"""Which recipe a candidate is trained by: the one that suits the data set, with what the candidate brings itself."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archfront.contracts import WrongUse
from evaluators.recipes import Member
from evaluators.recipes._slots import SLOTS
from evaluators.recipes.learning.layer_wise import LayerWise
from evaluators.recipes.partial import PartialRecipe
from evaluators.recipes.phase.head_first import HeadFirst
from evaluators.recipes.training import Recipe
from search_spaces.errors import SpaceError
from search_spaces.families import FAMILIES
from search_spaces.holes import OneOf, Repeat

if TYPE_CHECKING:
    from torch import Tensor

    from evaluators.datasets import DataSet
    from evaluators.tasks import Task


TUNED_LR, TUNED_FIRST = 0.2, 0.3
"""The rate of a fine-tuning as a share of that of a training from scratch, and the first layer's as one of the last's;
docs/pretrained.md has what they were tried on."""


def default_recipe(dataset: "DataSet", **settings: Any) -> Recipe:
    """The recipe that suits a data set's size, with `settings` in place of its own.

    At least 7 epochs and at least 150 steps: 9 epochs for 1,150 pictures, 15 for 680, 7 from 1,400 on.
    """
    size = dataset.train.size
    usual = dataset.task.batch_size
    batch_size = int(settings.get("batch_size", usual if size < 40_000 else 2 * usual))
    epochs = min(30, max(7, -(-150 // max(1, size // batch_size))))
    return Recipe(**{"epochs": epochs, "batch_size": batch_size, **settings})


def fine_tuning_recipe(dataset: "DataSet", epochs: int | None = None, **settings: Any) -> Recipe:
    """The recipe for a network that begins with weights from elsewhere, with `settings` in place of its own.

    The rate is a fifth of a training's from scratch, the first layer's a third of the last one's, the head learns first
    while the others rest, and there are two thirds of the epochs (5 or more) unless it is said.
    """
    usual = default_recipe(dataset, **settings)
    length = epochs or settings.get("epochs") or max(5, -(-2 * usual.epochs // 3))
    suited = {"lr": TUNED_LR * usual.lr, "learning": LayerWise(TUNED_FIRST), "phases": (HeadFirst(),)}
    return default_recipe(dataset, **{**suited, **settings, "epochs": length})


def own_recipe(architecture: Any, recipe: Recipe) -> Recipe:
    """`recipe` with the fields that the architecture brings itself, if it does."""
    own = getattr(architecture, "recipe", None)
    return own.over(recipe) if isinstance(own, PartialRecipe) else recipe


def files_in(text: str) -> list[str]:
    """The files of parts that a setting of a recipe, or a choice of settings, names as `FILE.py:NAME`."""
    return re.findall(r"([^\s,+()=|]+\.py):", text)


def loss_of(task: "Task", recipe: Recipe, smoothed: bool = True) -> "Callable[[Tensor, Tensor], Tensor]":
    """The loss of outputs and targets under a recipe; without its label smoothing unless `smoothed`."""
    if not smoothed:
        recipe = replace(recipe, label_smoothing=0.0)
    part = recipe.one("loss")
    if part is not None:
        return part.made(task, recipe)
    smoothing, balance = recipe.label_smoothing, recipe.balance_of(task)
    return lambda outputs, targets: task.loss(outputs, targets, smoothing, balance)


def check_recipe(recipe: Recipe | PartialRecipe, data: "DataSet") -> None:
    """Raise `WrongUse`, one line, for a part of a recipe, holes or not, that can't be used to train on `data`."""
    for slot, family in SLOTS.items():
        for part in members(getattr(recipe, slot), family):
            _check_member(slot, part, data)
    for kind in _options(recipe.augmentation):
        for name in _short(kind, data):
            _check_member("augmentation", FAMILIES["augmentation"].get(name)(), data)


def _short(kind: Any, data: "DataSet") -> tuple[str, ...]:
    """The augmentations that a word of the field `augmentation` stands for."""
    from evaluators.augmentation import SHORT

    return SHORT[data.augmentation if kind == "auto" else kind] if kind else ()


def _options(value: Any) -> tuple[Any, ...]:
    return value.options if isinstance(value, OneOf) else (value,)


def members(value: Any, family: str) -> Iterator[Any]:
    """All parts that a slot may come to hold."""
    if isinstance(value, OneOf):
        for option in value.options:
            yield from members(option, family)
    elif isinstance(value, Repeat):
        yield from members(value.item, family)
    elif isinstance(value, tuple):
        for item in value:
            yield from members(item, family)
    elif isinstance(value, Member):
        yield value
    elif isinstance(value, str) and value != "none":
        yield FAMILIES[family].get(value)()


def _check_member(slot: str, part: Any, data: "DataSet") -> None:
    reason = part.refuses(data)
    if reason is None:
        return
    possible = ", ".join(_possible(part.family, data)) or "none"
    task = f"{data.task.name} of {data.medium}"
    raise WrongUse(f"{slot}={part.name} can't be used to train {data.name} ({task}): it {reason}; possible: {possible}")


def _possible(family: str, data: "DataSet") -> Iterator[str]:
    """The names of those parts of a family that take the data, as far as they need no settings."""
    for entry in FAMILIES[family]:
        try:
            if entry.value().refuses(data) is None:
                yield entry.name
        except (SpaceError, TypeError):  # It needs settings, so nothing can be said of it by its name alone.
            continue

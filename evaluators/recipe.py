"""The training recipe: a part like those of an architecture, so that any of its fields may be a hole, too."""

from dataclasses import fields, replace
from math import cos, pi
from typing import TYPE_CHECKING, Any, Literal

from search_spaces.errors import SpaceError
from search_spaces.families import Family
from search_spaces.holes import OneOf, Repeat
from search_spaces.parts import Part, fields_of, part

if TYPE_CHECKING:
    from evaluators.datasets import DataSet

# A family of this package, which the algebra below it need not know.
RECIPES = Family("recipe")

KINDS = {"optimizer": ("adamw", "sgd"), "augmentation": ("auto", "none", "shift", "flip")}
"""The fields that take one of a few words."""
NUMBERS = {
    "lr": (0.0, float("inf")),
    "weight_decay": (0.0, float("inf")),
    "momentum": (0.0, 1.0),
    "label_smoothing": (0.0, 1.0),
    "warmup": (0.0, 1.0),
    "clip": (0.0, float("inf")),
}
"""The fields that take a number, with the least and the largest that makes sense."""
COUNTS = ("epochs", "batch_size")
"""The fields that take an integer of 1 or more."""


def check_field(name: str, value: Any) -> None:
    """Raise `SpaceError` when a recipe's field can't be `value`."""
    where = f"recipe.{name}"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in KINDS and value not in KINDS[name]:
        raise SpaceError(f"is one of {', '.join(KINDS[name])}, not {value!r}", where)
    if name in NUMBERS:
        low, high = NUMBERS[name]
        if not number or not low <= value <= high:
            raise SpaceError(f"must be a number from {low:g} to {high:g}, not {value!r}", where)
    if name in COUNTS and (not number or isinstance(value, float) or value < 1):
        raise SpaceError(f"must be an integer of 1 or more, not {value!r}", where)


@part("recipe", "training", source="Decoupled Weight Decay Regularization")
class Recipe(Part):
    """How a network is trained from scratch.

    `lr` is the peak learning rate, reached after `warmup` (a share of all steps) and taken down to 1 % of it along a
    cosine over `epochs`. `clip` bounds the gradient's norm (0: no bound). `augmentation` "auto" is what suits the
    data set. Weight decay spares biases and normalizations.
    """

    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = 5e-3
    weight_decay: float = 0.05
    momentum: float = 0.9
    label_smoothing: float = 0.1
    epochs: int = 9
    batch_size: int = 64
    warmup: float = 0.1
    clip: float = 1.0
    augmentation: Literal["auto", "none", "shift", "flip"] = "auto"

    def validate(self) -> None:
        for name in FIELDS:
            check_field(name, getattr(self, name))

    def lr_at(self, step: int, steps: int) -> float:
        """The learning rate of step number `step` (from 0) of a full training's `steps`."""
        warm = max(1, round(self.warmup * steps))
        if step < warm:
            return self.lr * (step + 1) / warm
        progress = min(1.0, (step - warm) / max(1, steps - warm))
        return self.lr * (0.01 + 0.99 * 0.5 * (1 + cos(pi * progress)))


@part("recipe", "partial", source="Decoupled Weight Decay Regularization")
class PartialRecipe(Part):
    """The fields of a recipe that an architecture brings itself, beside which all others stay as they are (None).

    The number of epochs is none of them: it says what a full evaluation is, for all candidates alike.
    """

    optimizer: Literal["adamw", "sgd"] | None = None
    lr: float | None = None
    weight_decay: float | None = None
    momentum: float | None = None
    label_smoothing: float | None = None
    batch_size: int | None = None
    warmup: float | None = None
    clip: float | None = None
    augmentation: Literal["auto", "none", "shift", "flip"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        # Fields don't depend on each other, so every option is checked here, and none when it is drawn.
        for name in fields_of(self):
            value = getattr(self, name)
            if isinstance(value, Repeat | tuple):
                raise SpaceError("takes one value, or a choice of values, not several at once", f"recipe.{name}")
            for option in value.options if isinstance(value, OneOf) else (value,):
                if option is not None:
                    check_field(name, option)

    def canonical(self) -> "Part":
        # AdamW has no momentum, so all of its momenta train alike.
        return replace(self, momentum=None) if self.optimizer == "adamw" and self.momentum is not None else self

    def over(self, recipe: Recipe) -> Recipe:
        """The recipe with the fields that this one brings."""
        own = {name: getattr(self, name) for name in fields_of(self)}
        return replace(recipe, **{name: value for name, value in own.items() if value is not None})


def default_recipe(dataset: "DataSet", **settings: Any) -> Recipe:
    """The recipe that suits a data set's size, with `settings` in place of its own.

    At least 7 epochs and at least 150 steps: 9 epochs for 1,150 pictures, 15 for 680, 7 from 1,400 on.
    """
    size = dataset.train.size
    batch_size = int(settings.get("batch_size", 64 if size < 40_000 else 128))
    epochs = min(30, max(7, -(-150 // max(1, size // batch_size))))
    return Recipe(**{"epochs": epochs, "batch_size": batch_size, **settings})


def own_recipe(architecture: Any, recipe: Recipe) -> Recipe:
    """`recipe` with the fields that the architecture brings itself, if it does."""
    own = getattr(architecture, "recipe", None)
    return own.over(recipe) if isinstance(own, PartialRecipe) else recipe


FIELDS = tuple(field.name for field in fields(Recipe))

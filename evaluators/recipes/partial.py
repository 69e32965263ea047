"""The fields of a recipe that a candidate brings itself."""

from dataclasses import replace
from typing import Literal

from evaluators.recipes._fields import check_field
from evaluators.recipes.training import Recipe
from search_spaces.errors import SpaceError
from search_spaces.holes import OneOf, Repeat
from search_spaces.parts import Part, fields_of, part


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

"""The fields of a recipe that a candidate brings itself."""

from dataclasses import replace
from typing import Any, Literal

from evaluators.recipes._fields import check_field
from evaluators.recipes._slots import SLOTS, parts_in, plain, read
from evaluators.recipes.training import Recipe
from search_spaces.errors import SpaceError
from search_spaces.holes import OneOf, Repeat
from search_spaces.parts import Part, fields_of, has_holes, part


@part("recipe", "partial", source="Decoupled Weight Decay Regularization")
class PartialRecipe(Part):
    """The fields of a recipe that an architecture brings itself, beside which all others stay as they are (None).

    "none" and () say that there is to be none. The number of epochs is no field: it says what a full evaluation is, for
    all candidates alike.
    """

    optimizer: Any = None
    lr: float | None = None
    weight_decay: float | None = None
    momentum: float | None = None
    label_smoothing: float | None = None
    batch_size: int | None = None
    warmup: float | None = None
    clip: float | None = None
    augmentation: Literal["auto", "none", "shift", "flip"] | None = None
    balance: float | None = None
    schedule: Any = None
    loss: Any = None
    augmentations: Any = None
    regularisers: Any = None
    averaging: Any = None
    teacher: Any = None
    phases: Any = None
    learning: Any = None

    def __post_init__(self) -> None:
        for name in SLOTS:
            found = read(name, getattr(self, name))
            object.__setattr__(self, name, found)
        super().__post_init__()
        # Fields don't depend on each other, so every option is checked here, and none when it is drawn.
        for name in fields_of(self):
            value = getattr(self, name)
            if name in SLOTS:
                continue
            if isinstance(value, Repeat | tuple):
                raise SpaceError("takes one value, or a choice of values, not several at once", f"recipe.{name}")
            for option in value.options if isinstance(value, OneOf) else (value,):
                if option is not None:
                    check_field(name, option)

    def canonical(self) -> "Part":
        short = {name: plain(getattr(self, name)) for name in SLOTS}
        if self.momentum is not None and self._without_momentum():
            # All momenta train alike where the optimizer has none.
            short["momentum"] = None
        changed = {name: value for name, value in short.items() if value != getattr(self, name)}
        return replace(self, **changed) if changed else self

    def _without_momentum(self) -> bool:
        if self.optimizer is None or has_holes(self.optimizer):
            return False
        return self.optimizer == "adamw" or not parts_in("optimizer", self.optimizer)[0].uses_momentum

    def over(self, recipe: Recipe) -> Recipe:
        """The recipe with the fields that this one brings."""
        own = {name: getattr(self, name) for name in fields_of(self)}
        return replace(recipe, **{name: value for name, value in own.items() if value is not None})

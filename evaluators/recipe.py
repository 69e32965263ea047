"""The training recipe: a part like those of an architecture, so that any of its fields may be a hole, too."""

from dataclasses import fields
from math import cos, pi
from typing import TYPE_CHECKING, Any, Literal

from search_spaces.errors import SpaceError
from search_spaces.parts import FAMILIES, Part, part
from search_spaces.registry import Registry

if TYPE_CHECKING:
    from evaluators.datasets import DataSet

# A family of this package, which the algebra below it need not know.
FAMILIES.setdefault("recipe", Registry("recipe", "evaluators"))


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
        self._one_of("optimizer", ("adamw", "sgd"))
        self._one_of("augmentation", ("auto", "none", "shift", "flip"))
        for name, low, high in (
            ("lr", 0.0, float("inf")),
            ("weight_decay", 0.0, float("inf")),
            ("momentum", 0.0, 1.0),
            ("label_smoothing", 0.0, 1.0),
            ("warmup", 0.0, 1.0),
            ("clip", 0.0, float("inf")),
        ):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
                raise SpaceError(f"must be a number from {low:g} to {high:g}, not {value!r}", f"recipe.{name}")
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise SpaceError(f"must be an integer of 1 or more, not {value!r}", f"recipe.{name}")

    def _one_of(self, name: str, known: tuple[str, ...]) -> None:
        if getattr(self, name) not in known:
            raise SpaceError(f"is one of {', '.join(known)}, not {getattr(self, name)!r}", f"recipe.{name}")

    def lr_at(self, step: int, steps: int) -> float:
        """The learning rate of step number `step` (from 0) of a full training's `steps`."""
        warm = max(1, round(self.warmup * steps))
        if step < warm:
            return self.lr * (step + 1) / warm
        progress = min(1.0, (step - warm) / max(1, steps - warm))
        return self.lr * (0.01 + 0.99 * 0.5 * (1 + cos(pi * progress)))


def default_recipe(dataset: "DataSet", **settings: Any) -> Recipe:
    """The recipe that suits a data set's size, with `settings` in place of its own.

    At least 7 epochs and at least 150 steps: 9 epochs for 1,150 pictures, 15 for 680, 7 from 1,400 on.
    """
    size = dataset.train.size
    batch_size = int(settings.get("batch_size", 64 if size < 40_000 else 128))
    epochs = min(30, max(7, -(-150 // max(1, size // batch_size))))
    return Recipe(**{"epochs": epochs, "batch_size": batch_size, **settings})


FIELDS = tuple(field.name for field in fields(Recipe))

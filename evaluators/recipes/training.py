"""The recipe of a training from scratch."""

from dataclasses import fields
from math import cos, pi
from typing import Literal

from evaluators.recipes._fields import check_field
from search_spaces.parts import Part, part


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


FIELDS = tuple(field.name for field in fields(Recipe))
"""The names of a recipe's fields."""

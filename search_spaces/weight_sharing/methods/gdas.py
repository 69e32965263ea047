"""GDAS: one option of each decision a step, by a Gumbel-softmax that is hard forwards and soft backwards.

## Differentiable methods
Works for every decision of every space, since a single path needs no shapes to agree: each decision in force has a
gate on the modules of the part that holds it. Where what follows undoes any scale (a batch normalization right
behind), that gate's gradient is all but zero; there, the method learns little.
"""

from random import Random

import torch
from torch import Tensor

from search_spaces.decisions import Pick
from search_spaces.weight_sharing.methods.base import METHODS
from search_spaces.weight_sharing.methods.differentiable import Differentiable, gumbel_softmax, positive


@METHODS.register("gdas", source="Searching for A Robust Neural Architecture in Four GPU Hours")
class GDAS(Differentiable):
    """A hard Gumbel-softmax sample with a straight-through gradient; its temperature falls linearly."""

    name = "gdas"

    def __init__(
        self,
        lr: float = 3e-4,
        weight_decay: float = 1e-3,
        beta1: float = 0.5,
        warm_up: float = 0.0,
        temperature: float = 10.0,
        last_temperature: float = 0.1,
    ) -> None:
        """`lr`, `weight_decay` and `beta1` are of the logits' Adam; the temperature goes from first to last."""
        super().__init__(lr, weight_decay, (beta1, 0.999), warm_up)
        self.temperature = positive("temperature", temperature)
        self.last_temperature = positive("last_temperature", last_temperature)

    def weights(self, generator: torch.Generator, progress: float) -> list[Tensor]:
        temperature = self.temperature + (self.last_temperature - self.temperature) * progress
        return [gumbel_softmax(logits, temperature, generator) for logits in self.logits]

    def pick(self, weights: list[Tensor], rng: Random) -> Pick:
        """The option of the largest weight."""
        best = [int(row.argmax()) for row in weights]
        return lambda index, options: best[index]

"""Delayed shrinking: the largest network first, then the sandwich, its small networks step by step."""

from collections.abc import Sequence
from random import Random

from search_spaces.errors import SpaceError
from search_spaces.weight_sharing.methods.base import METHODS, Lesson, share
from search_spaces.weight_sharing.methods.sandwich import Sandwich
from search_spaces.weight_sharing.supernet import Supernet


@METHODS.register("delayed-shrinking", source="DεpS: Delayed ε-Shrinking for Faster Once-For-All Training")
class DelayedShrinking(Sandwich):
    """The largest network alone for the share `full` of the steps; then the sandwich.

    What the others learn from the largest then counts little at first, and fully after the share `ramp` of all steps
    (the paper raises their learning rates; here their gradients, which the largest network's are added to).
    """

    name = "delayed-shrinking"

    def __init__(
        self, full: float = 0.5, ramp: float = 0.1, draws: int = 2, divergence: str = "kl", labels: float = 0.0
    ) -> None:
        super().__init__(draws, divergence, labels)
        self.full, self.ramp = share("full", full), share("ramp", ramp)
        if self.full == 1:
            raise SpaceError("full=1 leaves no step for the other networks; say 0.5")

    def lessons(self, supernet: Supernet, rng: Random, progress: float) -> Sequence[Lesson]:
        largest = Lesson(supernet.largest(rng), regularised=True)
        if progress < self.full:
            return [largest]
        weight = min(1.0, 0.1 + 0.9 * (progress - self.full) / self.ramp) if self.ramp else 1.0
        return [largest, *self.taught(supernet, rng, weight)]

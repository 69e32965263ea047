"""Matryoshka: networks nested in one another, all trained in every step."""

from collections.abc import Sequence
from random import Random
from typing import Any

from search_spaces.weight_sharing.methods.base import METHODS, Lesson, Method, whole
from search_spaces.weight_sharing.supernet import Supernet


@METHODS.register("matryoshka", source="Matryoshka Representation Learning")
class Matryoshka(Method):
    """Networks of the same kinds in `levels` nested sizes, widths and depths alike, each from the labels.

    Level by level, every size goes from the smallest of its options to the largest; kinds are drawn once a step.
    Networks whose sizes are mixed are never trained as such. Losses count alike, as in the paper.
    """

    name = "matryoshka"

    def __init__(self, levels: int = 3) -> None:
        self.levels = whole("levels", levels, 2)

    def lessons(self, supernet: Supernet, rng: Random, progress: float) -> Sequence[Lesson]:
        seed = rng.random()
        return [Lesson(self._nested(supernet, level, seed), regularised=True) for level in range(self.levels)]

    def _nested(self, supernet: Supernet, level: int, seed: float) -> Any:
        decisions = supernet.space.decisions

        def pick(index: int, options: int) -> int:
            decision = decisions[index]
            if not decision.ordered:
                return int(Random(f"{seed}/{index}").random() * options)
            rising = sorted(range(options), key=decision.options.__getitem__)
            return rising[round(level / (self.levels - 1) * (options - 1))]

        architecture = supernet.space.drawn(pick)
        return architecture if supernet.space.allows(architecture) else supernet.space.sample(Random(f"{seed}/{level}"))

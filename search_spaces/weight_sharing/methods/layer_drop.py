"""LayerDrop: whole layers are left out at random, so that any depth works."""

from collections.abc import Sequence
from random import Random
from typing import Any

from search_spaces.weight_sharing.methods.base import METHODS, Lesson, Method, share
from search_spaces.weight_sharing.supernet import Supernet


@METHODS.register("layerdrop", source="Reducing Transformer Depth on Demand with Structured Dropout")
class LayerDrop(Method):
    """One network a step, from the labels: of the deepest, each layer is left out with probability `rate`.

    A network of a space keeps the first layers of a stage, so it is their number that is drawn, and taken up to the
    next one that the space has. All decisions but depths are drawn uniformly.
    """

    name = "layerdrop"

    def __init__(self, rate: float = 0.2) -> None:
        self.rate = share("rate", rate)

    def lessons(self, supernet: Supernet, rng: Random, progress: float) -> Sequence[Lesson]:
        return [Lesson(self._drawn(supernet, rng), regularised=True)]

    def _drawn(self, supernet: Supernet, rng: Random) -> Any:
        decisions = supernet.space.decisions

        def pick(index: int, options: int) -> int:
            decision = decisions[index]
            if decision.kind != "depth":
                return rng.randrange(options)
            kept = sum(rng.random() >= self.rate for _ in range(max(decision.options)))
            enough = [i for i, depth in enumerate(decision.options) if depth >= kept]
            return min(enough, key=decision.options.__getitem__)

        architecture = supernet.space.drawn(pick)
        return architecture if supernet.space.allows(architecture) else supernet.space.sample(rng)

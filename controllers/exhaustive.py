"""Exhaustive search: every architecture of the space, once."""

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any

from archfront.contracts import Constraint, Objective, Proposal
from controllers.base import CONTROLLERS, Controller
from search_spaces.space import SearchSpace

BLOCK = 1024
"""Architectures that are shuffled together, so that neighbours in the enumeration don't all come in a row."""


@CONTROLLERS.register("exhaustive", source="NAS-Bench-101: Towards Reproducible Neural Architecture Search")
class Exhaustive(Controller):
    """Every architecture of the space in its enumeration's order, shuffled by the seed block by block."""

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        self._rest = self._shuffled()
        self._next: Proposal | None = None

    def propose(self, rng: Random) -> Proposal:
        # What is next depends on what was asked alone: it is not taken off before it was proposed.
        while self._next is None or self._next.digest in self._architectures:
            architecture = next(self._rest, None)
            if architecture is None:
                return self.proposal(self.space.sample(rng), "random")
            self._next = self.proposal(architecture, "enumeration")
        return self._next

    def _shuffled(self) -> Iterator[Any]:
        every = self.space.enumerate()
        number = 0
        while block := list(islice(every, BLOCK)):
            Random(f"{self.seed}/block/{number}").shuffle(block)
            yield from block
            number += 1

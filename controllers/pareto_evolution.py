"""Pareto evolution: mutate a random member of the front, never twice to the same candidate."""

from collections.abc import Sequence
from random import Random

from archfront.contracts import Constraint, Objective, Proposal, WrongUse
from controllers.base import CONTROLLERS, Controller
from search_spaces.space import SearchSpace


@CONTROLLERS.register(
    "pareto-evolution", source="Efficient Multi-objective Neural Architecture Search via Lamarckian Evolution"
)
class ParetoEvolution(Controller):
    """A steady-state evolution whose population is the front itself; `auto` takes it for large budgets.

    Args:
        start: random candidates before the first mutation.
        crossover: share of children that mix two members of the front before they are mutated.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        start: int = 10,
        crossover: float = 0.2,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        if start < 1 or not 0 <= crossover <= 1:
            raise WrongUse("pareto-evolution needs start >= 1 and 0 <= crossover <= 1")
        self._start = start
        self._crossover = crossover

    def propose(self, rng: Random) -> Proposal:
        front = self.archive.front
        if self._asked < self._start or not front:
            return self.proposal(self.space.sample(rng), "random")
        mother = rng.choice(front)
        architecture = self.architecture(mother.digest)
        if len(front) > 1 and rng.random() < self._crossover:
            father = rng.choice([member for member in front if member is not mother])
            child = self.space.crossover(architecture, self.architecture(father.digest), rng)
            return self.proposal(child, "crossover", [mother.digest, father.digest])
        return self.proposal(self.space.mutate(architecture, rng), "mutation", [mother.digest])

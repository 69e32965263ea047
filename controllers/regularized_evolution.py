"""Regularized (ageing) evolution: mutate the best of a random few of the youngest candidates."""

from collections import deque
from collections.abc import Sequence
from random import Random

from archfront.contracts import Constraint, Evaluation, Objective, Proposal, WrongUse
from controllers.archive import Member
from controllers.base import CONTROLLERS, Controller
from search_spaces.space import SearchSpace


@CONTROLLERS.register("regularized-evolution", source="Regularized Evolution for Image Classifier Architecture Search")
class RegularizedEvolution(Controller):
    """A population in which the oldest dies; the parent is the best of `tournament` drawn members.

    With several objectives the winner of a tournament is a random one of those that no other drawn member beats.

    Args:
        population: candidates alive, and random ones at the start.
        tournament: members drawn for each choice of a parent.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        population: int = 20,
        tournament: int = 5,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        if population < 2 or not 1 <= tournament <= population:
            raise WrongUse("regularized-evolution needs population >= 2 and 1 <= tournament <= population")
        self._start = population
        self._tournament = tournament
        self._population: deque[Member] = deque(maxlen=population)

    def observe(self, evaluation: Evaluation) -> None:
        member = self.archive.member(evaluation)
        if member is not None:
            self._population.append(member)

    def propose(self, rng: Random) -> Proposal:
        if self._asked < self._start or not self._population:
            return self.proposal(self.space.sample(rng), "random")
        drawn = rng.sample(list(self._population), min(self._tournament, len(self._population)))
        best = [member for member in drawn if not any(other.beats(member) for other in drawn)]
        parent = rng.choice(best)
        return self.proposal(self.space.mutate(self.architecture(parent.digest), rng), "mutation", [parent.digest])

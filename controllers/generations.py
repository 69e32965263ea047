"""Evolution in generations: parents and their children compete for the places of the next generation."""

from abc import abstractmethod
from collections.abc import Sequence
from random import Random

from archfront.contracts import Constraint, Evaluation, Objective, Proposal, WrongUse
from controllers.archive import Member
from controllers.base import Controller
from search_spaces.space import SearchSpace

Ranked = list[tuple[Member, tuple[float, ...]]]
"""Members, best first, with their merits; less is better."""


class Generations(Controller):
    """A generation ends when as many children as the population holds have come back, in whatever order.

    Parents win binary tournaments by merit; the first drawn wins where merits are equal. A subclass says in `ranked`
    who survives.

    Args:
        population: members of a generation, and random candidates at the start.
        crossover: share of children that have two parents; all are mutated in one decision.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        population: int = 20,
        crossover: float = 0.9,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        if population < 2 or not 0 <= crossover <= 1:
            raise WrongUse(f"{type(self).__name__.lower()} needs population >= 2 and 0 <= crossover <= 1")
        self._size = population
        self._crossover = crossover
        self._population: list[Member] = []
        self._children: list[Member] = []
        self._merit: dict[str, tuple[float, ...]] = {}
        self._generation = 0

    @abstractmethod
    def ranked(self, members: Sequence[Member]) -> Ranked:
        """The members, best first, as many as survive at least, with what decides tournaments among them."""

    def observe(self, evaluation: Evaluation) -> None:
        member = self.archive.member(evaluation)
        if member is not None:
            self._children.append(member)
        if len(self._children) >= self._size:
            survivors = self.ranked(self._population + self._children)[: self._size]
            self._population = [member for member, _ in survivors]
            self._merit = {member.digest: merit for member, merit in survivors}
            self._children = []
            self._generation += 1

    def propose(self, rng: Random) -> Proposal:
        if self._asked < self._size or not self._population:
            return self.proposal(self.space.sample(rng), "random")
        mother, father = self._winner(rng), self._winner(rng)
        child = self.architecture(mother.digest)
        parents, origin = [mother.digest], "mutation"
        if mother is not father and rng.random() < self._crossover:
            child = self.space.crossover(child, self.architecture(father.digest), rng)
            parents, origin = [mother.digest, father.digest], "crossover"
        return self.proposal(self.space.mutate(child, rng), origin, parents)

    def _winner(self, rng: Random) -> Member:
        first, second = rng.choice(self._population), rng.choice(self._population)
        return min(first, second, key=lambda member: self._merit[member.digest])


def fronts(members: Sequence[Member]) -> list[list[Member]]:
    """The members nothing beats, then those that only these beat, and so on."""
    beaten = [[j for j, other in enumerate(members) if member.beats(other)] for member in members]
    by = [0] * len(members)
    for losers in beaten:
        for loser in losers:
            by[loser] += 1
    ranked: list[list[Member]] = []
    front = [i for i, count in enumerate(by) if count == 0]
    while front:
        ranked.append([members[i] for i in front])
        following = []
        for loser in (loser for i in front for loser in beaten[i]):
            by[loser] -= 1
            if by[loser] == 0:
                following.append(loser)
        front = sorted(following)
    return ranked

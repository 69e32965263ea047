"""NSGA-II: generations selected by domination rank, then by how much room a member has on its front."""

import math
from collections.abc import Sequence
from random import Random

from archfront.contracts import Constraint, Evaluation, Objective, Proposal, WrongUse
from controllers.archive import Member
from controllers.base import CONTROLLERS, Controller
from search_spaces.space import SearchSpace


@CONTROLLERS.register("nsga2", source="A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II")
class NSGA2(Controller):
    """Parents win binary tournaments by rank and crowding distance; parents and children compete for the next round.

    Infeasible members lose against feasible ones, and among themselves by how far they break the constraints. A
    generation ends when as many children as the population holds have come back, in whatever order.

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
        population: int = 20,
        crossover: float = 0.9,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        if population < 2 or not 0 <= crossover <= 1:
            raise WrongUse("nsga2 needs population >= 2 and 0 <= crossover <= 1")
        self._size = population
        self._crossover = crossover
        self._population: list[Member] = []
        self._children: list[Member] = []
        self._merit: dict[str, tuple[int, float]] = {}

    def observe(self, evaluation: Evaluation) -> None:
        member = self.archive.member(evaluation)
        if member is not None:
            self._children.append(member)
        if len(self._children) >= self._size:
            merits = merit(self._population + self._children)
            self._population = [member for member, _ in merits[: self._size]]
            self._merit = {member.digest: rank for member, rank in merits}
            self._children = []

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


def merit(members: Sequence[Member]) -> list[tuple[Member, tuple[int, float]]]:
    """The members, best first, with their rank and the negative of their crowding distance."""
    found: list[tuple[Member, tuple[int, float]]] = []
    for rank, front in enumerate(fronts(members)):
        distances = crowding([member.losses for member in front])
        pairs = [(member, (rank, -distance)) for member, distance in zip(front, distances, strict=True)]
        found += sorted(pairs, key=lambda pair: pair[1])
    return found


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


def crowding(losses: Sequence[Sequence[float]]) -> list[float]:
    """How far apart each member's neighbours are, objective by objective; infinite at the ends."""
    distance = [0.0] * len(losses)
    for objective in range(len(losses[0])):
        order = sorted(range(len(losses)), key=lambda i: losses[i][objective])
        width = losses[order[-1]][objective] - losses[order[0]][objective]
        distance[order[0]] = distance[order[-1]] = math.inf
        for left, middle, right in zip(order, order[1:], order[2:], strict=False):
            distance[middle] += (losses[right][objective] - losses[left][objective]) / width if width else 0.0
    return distance

"""NSGA-II: generations selected by domination rank, then by how much room a member has on its front."""

import math
from collections.abc import Sequence

from controllers.archive import Member
from controllers.base import CONTROLLERS
from controllers.generations import Generations, Ranked, fronts


@CONTROLLERS.register("nsga2", source="A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II")
class NSGA2(Generations):
    """Parents win binary tournaments by rank and crowding distance; parents and children compete for the next round.

    Infeasible members lose against feasible ones, and among themselves by how far they break the constraints. A
    generation ends when as many children as the population holds have come back, in whatever order.

    Args:
        population: members of a generation, and random candidates at the start.
        crossover: share of children that have two parents; all are mutated in one decision.
    """

    def ranked(self, members: Sequence[Member]) -> Ranked:
        return merit(members)


def merit(members: Sequence[Member]) -> Ranked:
    """The members, best first, with their rank and the negative of their crowding distance."""
    found: Ranked = []
    for rank, front in enumerate(fronts(members)):
        distances = crowding([member.losses for member in front])
        pairs = [(member, (float(rank), -distance)) for member, distance in zip(front, distances, strict=True)]
        found += sorted(pairs, key=lambda pair: pair[1])
    return found


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

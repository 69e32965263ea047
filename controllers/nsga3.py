"""NSGA-III: generations selected by domination rank, then by spread along reference directions."""

from collections.abc import Sequence
from itertools import combinations, pairwise
from math import comb
from random import Random

import numpy as np
import numpy.typing as npt

from archfront.contracts import Constraint, Objective, WrongUse
from controllers.archive import Member
from controllers.base import CONTROLLERS
from controllers.generations import Generations, Ranked, fronts
from search_spaces.space import SearchSpace

Array = npt.NDArray[np.float64]
AXIS_WEIGHT = 1e-6
"""The weight of the other objectives where the extreme member of one is looked for."""


@CONTROLLERS.register(
    "nsga3",
    source="An Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based Nondominated Sorting "
    "Approach, Part I: Solving Problems With Box Constraints",
)
class NSGA3(Generations):
    """The last places of a generation go to the reference directions that have the fewest members so far.

    For three objectives and more, where NSGA-II's crowding distance says little. Infeasible members lose against
    feasible ones, and among themselves by how far they break the constraints; parents are drawn evenly among equals.

    Args:
        population: members of a generation, and random candidates at the start.
        crossover: share of children that have two parents; all are mutated in one decision.
        divisions: parts that each axis is cut into for Das and Dennis's directions; 0 takes as many as give no more
            directions than members, with a second, inner layer where all of the first lie on the border.
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
        divisions: int = 0,
    ) -> None:
        super().__init__(space, objectives, constraints, seed, population=population, crossover=crossover)
        if divisions < 0:
            raise WrongUse("nsga3 needs divisions >= 1, or 0 to choose by the population")
        count = len(self.objectives)
        self.directions = das_dennis(count, divisions) if divisions else fitting(count, population)

    def ranked(self, members: Sequence[Member]) -> Ranked:
        chosen: list[Member] = []
        ordered = fronts(members)
        while ordered and len(chosen) + len(ordered[0]) <= self._size:
            chosen += ordered.pop(0)
        if ordered and len(chosen) < self._size:
            # Ties are broken by lot, from a generator of their own, so that the history alone decides.
            rng = Random(f"{self.seed}/niches/{self._generation}")
            chosen += niched(chosen, ordered[0], self._size - len(chosen), self.directions, rng)
        return [(member, (member.excess,)) for member in chosen]


def das_dennis(objectives: int, divisions: int) -> Array:
    """All points of the unit simplex whose coordinates are multiples of 1/`divisions`."""
    bars = combinations(range(objectives + divisions - 1), objectives - 1)
    ends = [(-1, *bar, objectives + divisions - 1) for bar in bars]
    return np.array([[b - a - 1 for a, b in pairwise(end)] for end in ends]) / divisions


def fitting(objectives: int, population: int) -> Array:
    """The most evenly spread directions of which there are no more than members, but at least one per objective."""
    outer = _divisions(objectives, population)
    found = das_dennis(objectives, outer)
    left = population - len(found)
    if objectives > 1 and outer < objectives <= left:
        inner = das_dennis(objectives, _divisions(objectives, left))
        found = np.vstack([found, inner / 2 + 1 / (2 * objectives)])
    return found


def _divisions(objectives: int, most: int) -> int:
    divisions = 1
    while objectives > 1 and comb(objectives + divisions, divisions + 1) <= most:
        divisions += 1
    return divisions


def niched(
    chosen: Sequence[Member], front: Sequence[Member], places: int, directions: Array, rng: Random
) -> list[Member]:
    """`places` members of `front`, each for a direction that has the fewest of those chosen before it.

    A direction that has none yet takes the member nearest to it, any other a random one.
    """
    scaled = normalised(np.array([member.losses for member in [*chosen, *front]]))
    nearest, distance = associated(scaled, directions)
    counts = np.bincount(nearest[: len(chosen)], minlength=len(directions))
    waiting: dict[int, list[int]] = {}
    for i in range(len(front)):
        waiting.setdefault(int(nearest[len(chosen) + i]), []).append(i)
    found: list[Member] = []
    while len(found) < places:
        fewest = min(counts[niche] for niche in waiting)
        niche = rng.choice([niche for niche in sorted(waiting) if counts[niche] == fewest])
        members = waiting[niche]
        taken = min(members, key=lambda i: distance[len(chosen) + i]) if fewest == 0 else rng.choice(members)
        found.append(front[taken])
        counts[niche] += 1
        members.remove(taken)
        if not members:
            del waiting[niche]
    return found


def normalised(losses: Array) -> Array:
    """The losses from the ideal point (0) to where the plane through the extreme members cuts each axis (1).

    The range of the losses takes the plane's place where the extremes span none.
    """
    moved = losses - losses.min(axis=0)
    weights = np.where(np.eye(losses.shape[1], dtype=bool), 1.0, AXIS_WEIGHT)
    extremes = moved[[int((moved / row).max(axis=1).argmin()) for row in weights]]
    scale = moved.max(axis=0)
    try:
        cuts = 1 / np.linalg.solve(extremes, np.ones(len(extremes)))
        if np.isfinite(cuts).all() and (cuts > 1e-9 * scale).all() and (cuts <= scale * (1 + 1e-9)).all():
            scale = cuts
    except np.linalg.LinAlgError:
        pass
    return moved / np.where(scale > 0, scale, 1.0)


def associated(scaled: Array, directions: Array) -> tuple[npt.NDArray[np.intp], Array]:
    """The direction nearest to each point, and the point's distance from the line along it."""
    units = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    along = scaled @ units.T
    distances = np.sqrt(np.maximum((scaled**2).sum(axis=1, keepdims=True) - along**2, 0.0))
    nearest = distances.argmin(axis=1)
    return nearest, distances[np.arange(len(scaled)), nearest]

"""MAP-Elites: the best network of every cell of a grid over two metrics, so that good ones of every kind are kept."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, nan
from random import Random

import numpy as np

from archfront.contracts import METRICS, Constraint, Evaluation, Objective, Proposal, WrongUse
from controllers.archive import Member
from controllers.base import CONTROLLERS, Controller
from search_spaces.space import SearchSpace

GROWTH = 1.25
"""By how much the history grows until the cells are laid anew."""

Cell = tuple[int, ...]


@CONTROLLERS.register("map-elites", source="Illuminating search spaces by mapping elites")
class MapElites(Controller):
    """Mutates the best network of a random cell; cells are bounded by quantiles of what was seen so far.

    Objective 1 says what is best in a cell; any feasible network is better than an infeasible one. The axes are the
    two metrics of the setting; without it, the other objectives, then the metrics of the constraints, then those costs
    that the first network shows. Where there is but one of them, the cells lie along one axis.

    Args:
        axes: two metrics, as a list, or separated by a comma or a space.
        bins: cells along each axis.
        start: random candidates before the first mutation.
        crossover: share of children that mix the networks of two cells before they are mutated.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        axes: str | Sequence[str] = (),
        bins: int = 8,
        start: int = 20,
        crossover: float = 0.2,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        names = axes.replace(",", " ").split() if isinstance(axes, str) else list(axes)
        if axes and (len(set(names)) != 2 or len(names) != 2):
            raise WrongUse("map-elites needs two metrics as its axes, as in axes=params,latency_ms")
        if bins < 2 or start < 1 or not 0 <= crossover <= 1:
            raise WrongUse("map-elites needs bins >= 2, start >= 1 and 0 <= crossover <= 1")
        self.axes = tuple(names) if axes else ()
        self._bins = bins
        self._start = start
        self._crossover = crossover
        self._members: list[Member] = []
        self._edges: list[list[float]] = []
        self._laid = 0
        self._filled: dict[Cell, Member] = {}
        self.elites: list[Member] = []

    def observe(self, evaluation: Evaluation) -> None:
        member = self.archive.member(evaluation)
        if member is None:
            return
        self.axes = self.axes or self._axes_of(member.values)
        if not all(isfinite(member.values.get(axis, nan)) for axis in self.axes):
            return
        self._members.append(member)
        if len(self._members) >= GROWTH * self._laid:
            self._lay()
        else:
            self._place(member)
        self.elites = list(self._filled.values())

    def propose(self, rng: Random) -> Proposal:
        if self._asked < self._start or not self.elites:
            return self.proposal(self.space.sample(rng), "random")
        mother = rng.choice(self.elites)
        architecture = self.architecture(mother.digest)
        if len(self.elites) > 1 and rng.random() < self._crossover:
            father = rng.choice([member for member in self.elites if member is not mother])
            child = self.space.crossover(architecture, self.architecture(father.digest), rng)
            return self.proposal(self.space.mutate(child, rng), "crossover", [mother.digest, father.digest])
        return self.proposal(self.space.mutate(architecture, rng), "mutation", [mother.digest])

    def _axes_of(self, values: Mapping[str, float]) -> tuple[str, ...]:
        quality = self.objectives[0].metric
        named = [objective.metric for objective in self.objectives] + [c.metric for c in self.constraints]
        found = [name for name in dict.fromkeys([*named, *costs_first(values)]) if name in values and name != quality]
        if not found:
            raise WrongUse(f"map-elites sees no metric but {quality}; add an objective or a constraint on another")
        return tuple(found[:2])

    def _lay(self) -> None:
        """Bound the cells anew, and put every member into its own."""
        shares = [i / self._bins for i in range(1, self._bins)]
        columns = ([member.values[axis] for member in self._members] for axis in self.axes)
        self._edges = [sorted(set(np.quantile(column, shares, method="lower").tolist())) for column in columns]
        self._laid = len(self._members)
        self._filled = {}
        for member in self._members:
            self._place(member)

    def _place(self, member: Member) -> None:
        cell = self.cell(member.values)
        known = self._filled.get(cell)
        if known is None or _rank(member) < _rank(known):
            self._filled[cell] = member

    def cell(self, values: Mapping[str, float]) -> Cell:
        """The cell of a candidate with these metrics, as it is bounded now."""
        return tuple(bisect_right(edges, values[axis]) for axis, edges in zip(self.axes, self._edges, strict=True))


def costs_first(names: Iterable[str]) -> list[str]:
    """The names of metrics, those that are known to be costs in front."""
    return sorted(names, key=lambda name: METRICS.get(name.partition("@")[0], ("max", "", ""))[0] == "max")


def _rank(member: Member) -> tuple[float, float]:
    return member.excess, member.losses[0]

"""Rungs: the results of one fidelity, and which candidates among them go on to the next."""

from collections.abc import Sequence
from heapq import nsmallest
from math import sqrt

import numpy as np

from archfront.contracts import WrongUse
from controllers.archive import Member
from controllers.nsga2 import crowding


def shares(lowest: float, reduction: float) -> tuple[float, ...]:
    """Fidelities below the full one: `lowest`, then each `reduction` times the one before.

    One that would come closer to the full fidelity than the root of `reduction` is left out.
    """
    found = [lowest]
    while found[-1] * reduction * sqrt(reduction) <= 1 + 1e-9:
        found.append(found[-1] * reduction)
    return tuple(found)


def ladder(fidelities: Sequence[float], epochs: int) -> tuple[int, ...]:
    """The fidelities in whole epochs, ascending, the full one last."""
    below = {epochs_of(share, epochs) for share in fidelities} - {epochs}
    if not below:
        raise WrongUse(f"there is no lower fidelity than a training of {epochs} epochs; say more epochs")
    return (*sorted(below), epochs)


def epochs_of(share: float, epochs: int) -> int:
    """The share of a full training in whole epochs, at least one."""
    return min(epochs, max(1, round(share * epochs)))


class Rung:
    """What ended at one fidelity, failures included, and which of it was promoted already."""

    def __init__(self) -> None:
        self.ended = 0
        self.promoted: set[str] = set()
        self._members: dict[str, Member] = {}
        self._best: tuple[int, list[Member]] | None = None

    def add(self, digest: str, member: Member | None) -> None:
        """Take a result in; a failure has no member, and counts all the same."""
        self.ended += 1
        self._best = None
        if member is not None:
            self._members[digest] = member

    def next(self, reduction: float) -> str | None:
        """The best one not yet promoted, where it is among the best 1/`reduction`; None where none is."""
        quota = int(self.ended / reduction + 1e-9)
        if self._best is None or self._best[0] != quota:
            self._best = quota, best(list(self._members.values()), quota)
        return next((m.digest for m in self._best[1] if m.digest not in self.promoted), None)


def best(members: Sequence[Member], count: int) -> list[Member]:
    """The best `count` by domination rank, those of the last rank by the room they have on it.

    Infeasible members count only where none is feasible, since more training may yet bring them within the bound.
    """
    feasible = [member for member in members if member.excess == 0]
    if not feasible:
        return nsmallest(count, members, key=lambda member: member.excess)
    if len(feasible[0].losses) == 1:
        return nsmallest(count, feasible, key=lambda member: member.losses)
    from moocore import pareto_rank

    ranks = pareto_rank(np.array([member.losses for member in feasible], dtype=float))
    found: list[Member] = []
    for rank in range(int(ranks.max()) + 1):
        front = [feasible[i] for i in np.flatnonzero(ranks == rank)]
        if len(found) + len(front) >= count:
            room = crowding([member.losses for member in front])
            order = sorted(range(len(front)), key=lambda i: -room[i])
            return [*found, *(front[i] for i in order[: count - len(found)])]
        found += front
    return found

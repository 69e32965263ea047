"""The finals: which of the screened networks are trained to the end, on which worker, and until when."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from archfront.budget.known_good import Pace
from archfront.budget.spending import SHORTEST, Spending
from archfront.budget.timing import Timed
from archfront.contracts import Evaluation, Objective, Proposal, Status, losses
from archfront.study.front import Point, hypervolume, nondominated
from controllers.learning_curves import Expected, expected

ENOUGH = 6
"""So many must be screened before anybody is left out for what they came to."""
ROOM = 0.1
"""How far beyond the worst the reference lies, of the range, when the members are chosen."""
UNKNOWN = ((0, 0.0),)
"""The curve of a network that wasn't trained yet."""
FINAL = "final"
"""The origin of a candidate's training to the end."""


@dataclass(frozen=True)
class Screened:
    """What is known of a candidate after its screening: its curve, and what an epoch of it takes."""

    evaluation: Evaluation
    curve: tuple[tuple[int, float], ...]
    epoch_s: float

    @property
    def epochs(self) -> int:
        """The epochs that it is trained for already."""
        return self.curve[-1][0]


class Record:
    """What the screening brings, kept per candidate as it comes in."""

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self.objectives = tuple(objectives)
        self._curves: dict[str, list[tuple[int, float]]] = {}
        self._latest: dict[str, Evaluation] = {}
        self._seconds: dict[str, float] = {}
        self._late: dict[str, Evaluation] = {}
        self._ended: set[str] = set()

    def add(self, evaluation: Evaluation, seconds: float = 0.0) -> None:
        """Take in an evaluation of a lower fidelity; `seconds` is what the training itself took."""
        digest, epochs = evaluation.proposal.digest, evaluation.proposal.fidelity
        if epochs is None:
            self._ended.add(digest)
        value = evaluation.values.get(self.objectives[0].metric)
        if evaluation.status is Status.TIMED_OUT and epochs is not None:
            self._late[digest] = evaluation
        if evaluation.status is not Status.OK or epochs is None or value is None:
            return
        curve = self._curves.setdefault(digest, [])
        before = curve[-1][0] if curve else 0
        curve.append((epochs, value))
        self._latest[digest] = evaluation
        if seconds and epochs > before:
            self._seconds[digest] = seconds / (epochs - before)

    def screened(self, ended: bool = False) -> list[Screened]:
        """All that were screened with success, in the order of first results; with those that `ended`, too."""
        usual = float(np.median(list(self._seconds.values()))) if self._seconds else 1.0
        return [
            Screened(self._latest[digest], tuple(curve), self._seconds.get(digest, usual))
            for digest, curve in self._curves.items()
            if ended or digest not in self._ended
        ]

    def unworthy(self, found: Evaluation, spending: Spending) -> str:
        """Why a candidate isn't worth a training, by what is known of it before; empty where it may be."""
        macs, known = found.values.get("macs"), self.screened(ended=True)
        if macs is None or len(known) < ENOUGH:
            return ""
        sizes = [one.evaluation.values.get("macs", macs) for one in known]
        pace = Pace([Timed("", one.epoch_s, 0.0, size) for one, size in zip(known, sizes, strict=True)])
        if not spending.affords(pace.epoch_s(macs)):
            return f"an epoch of it would take some {pace.epoch_s(macs):.3g} s: the budget can't train it to the end"
        return self._hopeless(found, known, [math.log(size / macs) for size in sizes], spending.good_epochs)

    def _hopeless(self, found: Evaluation, known: list[Screened], sizes: list[float], epochs: int) -> str:
        """Why a candidate can't join the front: a network that is better in all that is known is expected to be more
        accurate, even where that one turns out at the lower end of what is expected, and this one, as large as it is
        (`sizes` are those of the others relative to it, in logarithms), at the upper end."""
        first, others = self.objectives[0], self.objectives[1:]
        figures = losses(found.values, others)
        if not others or figures is None:
            return ""
        after = self.expected(epochs)
        ends = [after[one.evaluation.proposal.digest] for one in known]
        hope = _hope([first.loss(one.value) for one in ends], sizes)
        for one, end in zip(known, ends, strict=True):
            better = losses(one.evaluation.values, others)
            worst = max(first.loss(end.low), first.loss(end.high))
            if better is not None and worst <= hope and all(a <= b for a, b in zip(better, figures, strict=True)):
                number = one.evaluation.proposal.number
                return f"candidate {number} is better in all that is known, and will be more accurate by its curve"
        return ""

    def late(self) -> list[Screened]:
        """Those that came too late to be screened, of which nothing is known."""
        late = (one for digest, one in self._late.items() if digest not in self._ended)
        return [Screened(one, UNKNOWN, 1.0) for one in late]

    def front(self) -> list[Point]:
        """Those that no other dominates, each at the highest fidelity that it has: they don't quite compare."""
        found = []
        for one in self._latest.values():
            figures = losses(one.values, self.objectives)
            if figures is not None:
                found.append(Point(one.proposal.digest, one.proposal.number, figures, one.values))
        keep = nondominated([point.losses for point in found])
        return sorted((point for point, kept in zip(found, keep, strict=True) if kept), key=lambda p: p.losses)

    def expected(self, epochs: float) -> dict[str, Expected]:
        """What the first objective of each would be after so many epochs."""
        return expected(self._curves, self.objectives[0], epochs)


def _hope(ends: Sequence[float], sizes: Sequence[float]) -> float:
    """The least loss that a network of size 0 may be hoped to have, by those of others: twice their spread below."""
    slope, level = np.polyfit(sizes, ends, 1) if max(sizes) > min(sizes) else (0.0, float(np.mean(ends)))
    spread = float(np.std(np.asarray(ends) - level - slope * np.asarray(sizes), ddof=2))
    return float(level - 2 * spread)


def chosen(record: Record, most: int, seconds: float, workers: int, good: int) -> list[Screened]:
    """Up to `most` members of the front that is expected after full trainings, with time for all of them.

    They are those that together dominate most; one by one those that cost most for what they add are left out until
    a training is at least `SHORTEST` of a good one in the `seconds` that the workers have, one for each at least.
    """
    known = record.screened()
    if not known:
        return record.late()[: min(most, workers)]
    points = _points(known, record, good)
    members = _greedy(points, most)
    # A worker without one would have nothing to do.
    while len(members) > workers and _each(members, known, seconds, workers) < SHORTEST * good:
        members = members[:-1]
    return [known[index] for index in members]


def _points(known: Sequence[Screened], record: Record, epochs: int) -> np.ndarray:
    """The expected losses; what is positive in all candidates (latency, size) in logarithms."""
    first, *others = record.objectives
    after = record.expected(epochs)
    rows = []
    for one in known:
        found = losses(one.evaluation.values, others)
        rows.append((first.loss(after[one.evaluation.proposal.digest].value), *(found or [math.inf] * len(others))))
    table = np.array(rows, dtype=float).reshape(len(known), len(record.objectives))
    for column in range(1, table.shape[1]):
        if (table[:, column] > 0).all():
            table[:, column] = np.log(table[:, column])
    return table


def _greedy(points: np.ndarray, most: int) -> list[int]:
    """The numbers of up to `most` points of the front, each the one that adds most to those before; the best in the
    first objective comes first."""
    usable = [i for i in range(len(points)) if np.isfinite(points[i]).all()]
    if not usable:
        return []
    keep = nondominated([tuple(points[i]) for i in usable])
    front = [i for i, kept in zip(usable, keep, strict=True) if kept]
    low, high = points[front].min(axis=0), points[front].max(axis=0)
    scaled = (points - low) / np.where(high > low, high - low, 1.0)
    reference = [1 + ROOM] * points.shape[1]
    members = [min(front, key=lambda i: tuple(points[i]))]
    while len(members) < min(most, len(front)):
        rest = [i for i in front if i not in members]
        members.append(max(rest, key=lambda i: hypervolume([tuple(scaled[j]) for j in [*members, i]], reference)))
    return members


def _each(members: Sequence[int], known: Sequence[Screened], seconds: float, workers: int) -> float:
    """The epochs in all that each member could have come to, were all trained equally long."""
    cost = sum(known[i].epoch_s for i in members)
    done = sum(known[i].epochs * known[i].epoch_s for i in members)
    longest = max(known[i].epoch_s for i in members)
    return min((seconds * workers + done) / cost, seconds / longest + max(known[i].epochs for i in members))


def untried(proposals: Sequence[Proposal]) -> list[Screened]:
    """Candidates that nobody has looked at, as members of the finals."""
    return [Screened(Evaluation(proposal), UNKNOWN, 1.0) for proposal in proposals]


class Finals:
    """Trainings to the end, spread over the workers so that all end in time: each worker has a row of them."""

    def __init__(self, members: Sequence[Screened], workers: int, ends: float) -> None:
        """`ends` is when all is to be done, by `time.monotonic()`."""
        self.members, self.ends = tuple(members), ends
        self._rows: list[list[Screened]] = [[] for _ in range(min(workers, max(1, len(members))))]
        self._of: dict[str, int] = {}
        # The costliest first, each to the worker with least to do: so no long one begins last.
        for member in sorted(members, key=lambda one: -one.epoch_s):
            row = min(self._rows, key=lambda row: sum(one.epoch_s for one in row))
            row.append(member)
        self._free = list(range(len(self._rows)))

    @property
    def left(self) -> int:
        """How many have not begun."""
        return sum(map(len, self._rows))

    def next(self) -> tuple[Proposal, float] | None:
        """The next training for a worker that is free, and when it is to be done."""
        for number in self._free:
            row = self._rows[number]
            if row:
                self._free.remove(number)
                member = row.pop(0)
                share = member.epoch_s / (member.epoch_s + sum(one.epoch_s for one in row))
                now = time.monotonic()
                self._of[member.evaluation.proposal.digest] = number
                proposal = replace(member.evaluation.proposal, fidelity=None, origin=FINAL)
                return proposal, now + share * (self.ends - now)
        return None

    def done(self, digest: str) -> None:
        """A final has ended: its worker is free."""
        number = self._of.pop(digest, None)
        if number is not None:
            self._free.append(number)


__all__ = ["FINAL", "Finals", "Record", "Screened", "chosen", "untried"]

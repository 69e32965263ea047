"""A study's finished evaluations as columns, kept up to date cheaply while a search goes on."""

import math
import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from archfront.contracts import Objective, Status, meaning
from archfront.study.front import hypervolume, nondominated
from archfront.study.study import Study

_FIXED = 9
"""How many columns of `Study.table` come before those of the metrics."""


def direction_of(metric: str, study: Study) -> Objective:
    """The metric as an objective: as the study has it, as Archfront knows it, or else the less the better."""
    for objective in study.objectives:
        if objective.metric == metric:
            return objective
    known = meaning(metric)
    return Objective(metric, known[0] if known else "min")


def axes_of(study: Study) -> tuple[Objective, Objective]:
    """The x and y axis to show a study by: its last and first objective, or another metric against its only one."""
    if len(study.objectives) > 1:
        return study.objectives[-1], study.objectives[0]
    names = [name for name in study.metric_names() if name != study.objectives[0].metric]
    return direction_of(names[0], study) if names else study.objectives[0], study.objectives[0]


@dataclass(frozen=True)
class Cloud:
    """The candidates that have all of some metrics, as indices into the columns of `Results`.

    `points` keep every constraint, one index per candidate, of full fidelity, in the order told; `front` are
    those of them that no other dominates; `violating` break a constraint or were found infeasible.
    """

    points: np.ndarray
    front: np.ndarray
    violating: np.ndarray


class Results:
    """Some metrics of a study's finished evaluations as numpy columns; `refresh` adds what was told since."""

    def __init__(self, study: Study, metrics: Sequence[str]) -> None:
        bounds = [constraint.metric for constraint in study.constraints]
        self.study = study
        self.metrics = tuple(dict.fromkeys([*metrics, *bounds]))
        self.digests: list[str] = []
        self.statuses: list[str] = []
        self.reasons: list[str] = []
        self.origins: list[str] = []
        self.numbers = np.empty(0, dtype=np.int64)
        self.fidelities = np.empty(0, dtype=np.int64)
        self.told_at = np.empty(0)
        self.seconds = np.empty(0)
        self.values, self.lows, self.highs = ({m: np.empty(0) for m in self.metrics} for _ in range(3))
        self.predicted = {m: np.empty(0, dtype=bool) for m in self.metrics}
        self._told = -1
        self._codes: dict[str, int] = {}
        self._code = np.empty(0, dtype=np.int64)
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self.digests)

    def refresh(self) -> "Results":
        """Bring the columns up to date; may be called from several threads."""
        with self._lock:
            rows = self.study.table(self.metrics, self._told)
            if rows:
                self._append(rows)
        return self

    def _append(self, rows: Sequence[Any]) -> None:
        columns = list(zip(*rows, strict=True))
        told, numbers, digests, fidelities, statuses, reasons, origins, told_at, seconds = columns[:_FIXED]
        codes = [self._codes.setdefault(digest, len(self._codes)) for digest in digests]
        self._code = np.append(self._code, codes)
        self.numbers = np.append(self.numbers, numbers)
        self.fidelities = np.append(self.fidelities, fidelities)
        self.told_at = np.append(self.told_at, np.array(told_at, dtype=float))
        self.seconds = np.append(self.seconds, np.array(seconds, dtype=float))
        for place, metric in enumerate(self.metrics):
            value, low, high, kind = columns[_FIXED + 4 * place : _FIXED + 4 * place + 4]
            self.values[metric] = np.append(self.values[metric], np.array(value, dtype=float))
            self.lows[metric] = np.append(self.lows[metric], np.array(low, dtype=float))
            self.highs[metric] = np.append(self.highs[metric], np.array(high, dtype=float))
            self.predicted[metric] = np.append(self.predicted[metric], np.array([k == "predicted" for k in kind]))
        self.digests = [*self.digests, *digests]
        self.statuses = [*self.statuses, *statuses]
        self.reasons = [*self.reasons, *reasons]
        self.origins = [*self.origins, *origins]
        self._told = told[-1]

    def cloud(self, objectives: Sequence[Objective]) -> Cloud:
        """The candidates that have a finite value for each of `objectives`, and the front among them."""
        with self._lock:
            return self._cloud(objectives)

    def _cloud(self, objectives: Sequence[Objective]) -> Cloud:
        known = np.ones(len(self), dtype=bool)
        for objective in objectives:
            known &= np.isfinite(self.values[objective.metric])
        statuses = np.array(self.statuses, dtype=object)
        kept = np.ones(len(self), dtype=bool)
        for constraint in self.study.constraints:
            value = self.values[constraint.metric]
            broken = value > constraint.bound if constraint.upper else value < constraint.bound
            kept &= ~broken
        ok = np.asarray(statuses == Status.OK.value, dtype=bool)
        points = np.flatnonzero(known & ok & kept & (self.fidelities == 0))
        losses = self.losses(points, objectives)
        front = points[_undominated(losses)] if len(points) else points
        front = front[np.argsort(self.values[objectives[0].metric][front], kind="stable")]
        infeasible = np.asarray(statuses == Status.INFEASIBLE.value, dtype=bool)
        violating = self._highest_fidelity(np.flatnonzero(known & ((ok & ~kept) | infeasible)))
        return Cloud(points, front, violating[~np.isin(self._code[violating], self._code[points])])

    def losses(self, at: np.ndarray, objectives: Sequence[Objective]) -> np.ndarray:
        """The objectives of the rows `at`, less is better, shape (rows, objectives)."""
        signs = [-1.0 if objective.direction == "max" else 1.0 for objective in objectives]
        columns = [s * self.values[o.metric][at] for s, o in zip(signs, objectives, strict=True)]
        return np.stack(columns, axis=1)

    def _highest_fidelity(self, at: np.ndarray) -> np.ndarray:
        """Of the rows `at`, the last of the highest fidelity for each candidate."""
        fidelity = np.where(self.fidelities[at] == 0, np.iinfo(np.int64).max, self.fidelities[at])
        ordered = at[np.lexsort((self.numbers[at], fidelity))]
        last = np.full(len(self._codes), -1, dtype=np.int64)
        last[self._code[ordered]] = ordered
        return np.sort(last[last >= 0])

    def failures(self) -> list[tuple[str, str, int]]:
        """What didn't end well: status, reason (numbers in it as #, so that like reasons count together), how many."""
        found = Counter(
            (status, _without_numbers(reason))
            for status, reason in zip(self.statuses, self.reasons, strict=True)
            if status != Status.OK
        )
        return [(status, reason, count) for (status, reason), count in found.most_common()]

    def history(self, steps: int = 120) -> "History":
        """How hypervolume and the best of each objective grew, at up to `steps` moments."""
        objectives = self.study.objectives
        cloud = self.cloud(objectives)
        points = cloud.points
        if not len(points):
            return History([], [], [], {o.metric: [] for o in objectives})
        losses = self.losses(points, objectives)
        ends = np.unique(np.linspace(1, len(points), min(steps, len(points))).astype(int))
        reference = losses.max(axis=0)
        best, volumes, front, start = np.minimum.accumulate(losses, axis=0), [], losses[:0], 0
        for end in ends:
            front = np.concatenate([front, losses[start:end]])
            front = front[_undominated(front)]
            volumes.append(hypervolume(front.tolist(), reference.tolist()))
            start = end
        total = max(volumes[-1], np.finfo(float).tiny)
        started = self.study.created_at
        return History(
            [int(points[end - 1]) + 1 for end in ends],
            [(self.told_at[points[end - 1]] - started) / 60 for end in ends],
            [volume / total for volume in volumes],
            {o.metric: [_value(o, best[end - 1, i]) for end in ends] for i, o in enumerate(objectives)},
        )


@dataclass(frozen=True)
class History:
    """Moments of a search: evaluations finished, minutes since the study was made, and what was reached by then.

    `hypervolume` is relative to that of the last moment, measured from the worst value of each objective seen.
    """

    evaluations: list[int]
    minutes: list[float]
    hypervolume: list[float]
    best: dict[str, list[float]]


def _undominated(losses: np.ndarray) -> np.ndarray:
    """Which rows of `losses` no other dominates."""
    return np.asarray(nondominated(losses.tolist()), dtype=np.bool_)


def _value(objective: Objective, loss: float) -> float:
    """The value of the objective whose loss is given."""
    return float(-loss if objective.direction == "max" else loss)


def _without_numbers(reason: str) -> str:
    """The reason with each run of digits as one #: 'loss is nan at step 12' and '… at step 90' are one reason."""
    return re.sub(r"\d+", "#", reason)


def sample(at: np.ndarray, numbers: np.ndarray, limit: int) -> np.ndarray:
    """At most `limit` of the rows `at`, the same ones whenever asked: a row leaves only as the study grows."""
    if len(at) <= limit:
        return at
    scattered = (numbers[at].astype(np.uint64) * np.uint64(2654435761)) % np.uint64(2**32)
    return np.sort(at[np.argpartition(scattered, limit)[:limit]])


def robust_range(values: np.ndarray) -> tuple[float, float] | None:
    """An axis range that a few extreme values can't blow up: what lies within twice the 5-95 % span around it."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.percentile(values, [5, 95])
    room = 2 * (high - low) or abs(low) * 0.1 or 1.0
    inside = values[(values >= low - room) & (values <= high + room)]
    low, high = float(inside.min()), float(inside.max())
    pad = 0.06 * (high - low) or abs(low) * 0.05 or 0.5
    return (low - pad, high + pad) if math.isfinite(pad) else None

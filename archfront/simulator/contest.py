"""Controllers side by side on one benchmark: every one with the same evaluations, or time, and as many seeds."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import inf
from typing import Any

import numpy as np

from archfront.contracts import WrongUse
from archfront.simulator.benchmark import Benchmark, describe
from archfront.simulator.simulation import Run, simulate
from archfront.warm_start import WarmStart
from controllers.base import CONTROLLERS, Controller, create

WARM_START = "warm_start"
"""The setting of a contender that isn't its controller's: `proxy:COLUMN:10/200`."""
TARGETS = (0.98, 0.99)
"""Shares of the true hypervolume of which a contest says after how many evaluations they were found."""


@dataclass(frozen=True)
class Contender:
    """A controller with its settings, and the text that it was given as, which labels it."""

    label: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Contender":
        """`NAME`, `FILE.py:NAME`, or either with settings: `optuna:nsga2+population_size=20+crossover_prob=0.5`."""
        name, *given = re.split(r"\+(?=[A-Za-z_]\w*=)", text.strip())
        settings = {}
        for pair in given:
            key, _, value = pair.partition("=")
            try:
                settings[key] = tomllib.loads(f"value = {value}")["value"]
            except tomllib.TOMLDecodeError:
                settings[key] = value
        return cls(text.strip(), name, settings)

    @property
    def proxies(self) -> tuple[str, ...]:
        """The columns that the contender's warm start looks at."""
        found = WarmStart.parse(str(self.settings[WARM_START])) if WARM_START in self.settings else None
        return (found.name,) if found is not None and found.kind == "proxy" else ()

    def controller(self, benchmark: Benchmark, seed: int, evaluations: int = 0) -> Controller:
        """The contender's controller for its run number `seed`; raises `WrongUse` where it refuses the benchmark."""
        # Each contender draws from its own stream, so that none begins with another's candidates.
        derived = int.from_bytes(sha256(f"{self.label}/{seed}".encode()).digest()[:4], "big") % 2**31
        space, goals = benchmark.space, benchmark.objectives
        takes = getattr(CONTROLLERS.get(self.name), "takes_evaluations", False)
        budget = {"evaluations": evaluations} if takes else {}
        settings = {key: value for key, value in self.settings.items() if key != WARM_START}
        made = create(self.name, space, goals, benchmark.constraints, derived, {**budget, **settings})
        made.set_epochs(benchmark.epochs)
        if WARM_START in self.settings:
            made.begin_with(benchmark.begun_with(str(self.settings[WARM_START]), derived))
        return made


@dataclass(frozen=True)
class Standing:
    """What a contender found: per seed (row) and point of the contest's axis (column) the benchmark's measure.

    `seconds` are the virtual ones at each point, and `evaluations` those ended by then; `thinking_ms` is processor time
    per evaluation.
    """

    contender: Contender
    measure: np.ndarray
    seconds: np.ndarray
    evaluations: np.ndarray
    thinking_ms: float

    def quartiles(self) -> np.ndarray:
        """Of each point: the lower quartile, the median and the upper quartile over the seeds."""
        # `nearest` ranks: interpolation would make nan of two infinite regrets.
        return np.percentile(self.measure, [25, 50, 75], axis=0, method="nearest" if self._lacks else "linear")

    @property
    def _lacks(self) -> bool:
        return not np.isfinite(self.measure).all()


@dataclass(frozen=True)
class Contest:
    """Several contenders on one benchmark, at the same counts of evaluations, or, if `timed`, of virtual seconds."""

    benchmark: Benchmark
    axis: tuple[float, ...]
    seeds: int
    workers: int
    standings: tuple[Standing, ...]
    timed: bool = False

    def at(self, points: Sequence[float]) -> list[int]:
        """The columns of the standings that belong to `points` of the axis."""
        return [self.axis.index(point) for point in points]

    def reached(self, standing: Standing, target: float) -> float | None:
        """The median point of the axis with a share of the hypervolume; None where most runs didn't get there."""
        if self.benchmark.measure == "regret":
            return None
        first = [self.axis[int(np.argmax(row >= target))] if row[-1] >= target else np.inf for row in standing.measure]
        middle = float(np.median(first))
        return middle if np.isfinite(middle) else None

    def caught_up(self, standing: Standing) -> float | None:
        """The first point of the axis at which a contender's median is as good as the first contender's at the end."""
        middle, goal = standing.quartiles()[1], self.standings[0].quartiles()[1][-1]
        good = middle <= goal if self.benchmark.measure == "regret" else middle >= goal
        return self.axis[int(np.argmax(good))] if good.any() else None

    def to_json(self) -> dict[str, Any]:
        """All results as JSON values; a regret before the first feasible candidate is null."""
        return {
            **describe(self.benchmark),
            "workers": self.workers,
            "seeds": self.seeds,
            "virtual_seconds" if self.timed else "evaluations": list(self.axis),
            "controllers": [self._standing(standing) for standing in self.standings],
        }

    def _standing(self, standing: Standing) -> dict[str, Any]:
        low, middle, high = (_plain(row) for row in standing.quartiles())
        found = {
            "controller": standing.contender.label,
            "settings": dict(standing.contender.settings),
            "median": middle,
            "lower_quartile": low,
            "upper_quartile": high,
            "runs": [_plain(row) for row in standing.measure],
            **self._other_axis(standing),
            "as_good_as_first_after": self.caught_up(standing),
            "thinking_ms": round(standing.thinking_ms, 3),
        }
        if self.benchmark.measure != "regret":
            found["reached"] = {f"{target:g}": self.reached(standing, target) for target in TARGETS}
        return found

    def _other_axis(self, standing: Standing) -> dict[str, Any]:
        if self.timed:
            return {"evaluations": _plain(np.median(standing.evaluations, axis=0))}
        return {"virtual_seconds": _plain(np.median(standing.seconds, axis=0))}


def run_contest(
    benchmark: Benchmark,
    contenders: Sequence[Contender],
    evaluations: int,
    seeds: int,
    workers: int = 1,
    first_seed: int = 0,
    listener: Callable[[Contender, int], None] = lambda contender, done: None,
    measured_at: Sequence[int] = (),
    marks: Sequence[float] = (),
) -> Contest:
    """Simulate every contender `seeds` times; `listener` hears of each run that has ended.

    Measured at all counts of `grid`, and at `measured_at`, which may not exceed `evaluations`. With `marks`, runs go on
    to the last of these virtual seconds, however many evaluations that takes, and are measured on the way to it.
    Raises `WrongUse` for a contender that refuses the benchmark, before any run.
    """
    if len({contender.label for contender in contenders}) < len(contenders):
        raise WrongUse("--controllers names one twice; give each once")
    for contender in contenders:
        contender.controller(benchmark, first_seed)
    size = None if benchmark.epochs else benchmark.space.size()
    last = min(evaluations, size or evaluations)
    axis: tuple[float, ...] = tuple(
        sorted({*grid(last, len(benchmark.objectives)), *(n for n in measured_at if n <= last)})
    )
    limit: int | None = evaluations
    if marks:
        axis, limit = moments(marks), None
    standings = []
    for contender in contenders:
        runs: list[Run] = []
        for seed in range(first_seed, first_seed + seeds):
            until = axis[-1] if marks else inf
            runs.append(simulate(contender.controller(benchmark, seed, limit or 0), benchmark, limit, workers, until))
            listener(contender, len(runs))
        standings.append(_stand(contender, benchmark, runs, axis, bool(marks)))
    return Contest(benchmark, axis, seeds, workers, tuple(standings), bool(marks))


def grid(evaluations: int, objectives: int) -> tuple[int, ...]:
    """The counts at which a contest is measured: all, or those a figure needs where hypervolumes are costly."""
    step = 1 if objectives <= 2 else max(1, evaluations // 50)
    return tuple(sorted({*range(step, evaluations + 1, step), *milestones(evaluations)}))


def moments(marks: Sequence[float]) -> tuple[float, ...]:
    """The virtual seconds at which a contest in time is measured: the marks, and a hundred even steps to the last."""
    return tuple(sorted({*(max(marks) * step / 100 for step in range(1, 101)), *marks}))


def milestones(evaluations: int) -> list[int]:
    """The counts that a table shows: 10, 20, 50, 100 … and the last; at most six."""
    series = [factor * 10**power for power in range(1, 7) for factor in (1, 2, 5)]
    return [*[count for count in series if count < evaluations][-5:], evaluations]


def _stand(
    contender: Contender, benchmark: Benchmark, runs: Sequence[Run], axis: Sequence[float], timed: bool
) -> Standing:
    ended = sum(len(run.ended) for run in runs)
    rows = [_counts(run, axis, timed) for run in runs]
    return Standing(
        contender,
        np.array([benchmark.progress(run.losses, counts) for run, counts in zip(runs, rows, strict=True)]),
        np.array([axis if timed else run.ended[np.array(n) - 1] for run, n in zip(runs, rows, strict=True)]),
        np.array(rows),
        1000 * sum(run.thinking for run in runs) / max(1, ended),
    )


def _counts(run: Run, axis: Sequence[float], timed: bool) -> list[int]:
    """How many evaluations had ended at each point."""
    if timed:
        return [int(count) for count in np.searchsorted(run.ended, axis, side="right")]
    return [min(int(count), len(run.ended)) for count in axis]


def _plain(row: np.ndarray) -> list[float | None]:
    return [float(f"{value:.8g}") if np.isfinite(value) else None for value in row]

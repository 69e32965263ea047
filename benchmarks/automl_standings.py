"""What the runs of `benchmarks.automl` came to: fronts, accuracy at three latency limits, hypervolumes, ratios.

A run's front is that of its networks by *validation* accuracy and latency; what counts of it is test accuracy. At a
latency limit a run's network is the best by validation accuracy among those within it, and where there is none, its
accuracy is that of always saying the commonest class.

A set's limits are the same for all budgets and contenders, and follow from what the engineer reached on it: `slow` is
the latency of its slowest network, `fast` that of the fastest network of the run whose fastest one was slowest (so that
each of its runs has a network within the limit), `middle` their geometric mean; all with 5 % on top, as latencies
vary. Where the engineer wasn't run, they follow from all contenders. The hypervolume lies between a run's front and
the commonest class's accuracy at the limit `slow`, in accuracy × logarithm of latency.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev
from typing import Any

from benchmarks.fronts import Point, front, hypervolume

MEASURED_BY = "engineer"
ROOM = 1.05

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Network:
    """A network that was handed over: its accuracies and its latency."""

    validation: float
    test: float
    latency_ms: float


@dataclass(frozen=True)
class Standing:
    """What one run is worth."""

    set: str
    minutes: float
    contender: str
    seed: int
    cpu_minutes: float
    accuracies: tuple[float, ...]
    hypervolume: float
    front: tuple[Network, ...]


def latencies(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Of each file's hash the median of its latencies; those taken in quiet go before those that were worked out."""
    quiet: dict[str, list[float]] = {}
    noisy: dict[str, list[float]] = {}
    for row in rows:
        (noisy if row["corrected"] else quiet).setdefault(row["sha256"], []).append(row["latency_ms"])
    return {file: median(figures) for file, figures in {**noisy, **quiet}.items()}


def networks_of(record: Record, latency: Mapping[str, float]) -> list[Network]:
    """The networks of a run, as far as they were measured."""
    return [
        Network(one["validation"], one["test"], latency[one["sha256"]])
        for one in record["networks"]
        if one["sha256"] in latency
    ]


def limits(records: Sequence[Record], latency: Mapping[str, float]) -> tuple[float, float, float] | None:
    """The three latency limits of a set, in ms; None where nothing was measured on it."""
    own = [record for record in records if record["contender"] == MEASURED_BY] or records
    runs = [[one.latency_ms for one in networks_of(record, latency)] for record in own]
    runs = [run for run in runs if run] or [
        [one.latency_ms for record in records for one in networks_of(record, latency)]
    ]
    if not runs[0]:
        return None
    fast, slow = ROOM * max(map(min, runs)), ROOM * max(map(max, runs))
    return fast, math.sqrt(fast * slow), slow


def standing(record: Record, latency: Mapping[str, float], within: Sequence[float]) -> Standing:
    """What a run is worth at the limits `within`."""
    networks = networks_of(record, latency)
    chosen = [networks[i] for i in front([Point(one.validation, one.latency_ms) for one in networks])]

    def best(limit: float) -> float:
        fitting = [one for one in chosen if one.latency_ms <= limit]
        return max(fitting, key=lambda one: one.validation).test if fitting else record["majority"]

    # Worse than the commonest class is what a front may hold on test data; no area belongs to it.
    points = [Point(one.test, one.latency_ms) for one in chosen]
    return Standing(
        set=record["set"],
        minutes=record["minutes"],
        contender=record["contender"],
        seed=record["seed"],
        cpu_minutes=record["cpu_seconds"] / 60,
        accuracies=tuple(map(best, within)),
        hypervolume=hypervolume(points, Point(record["majority"], within[-1])),
        front=tuple(chosen),
    )


def spread(values: Sequence[float], digits: int) -> str:
    """The mean, and the standard deviation over seeds where there are several."""
    if not values:
        return "-"
    found = f"{mean(values):.{digits}f}"
    return f"{found} ± {stdev(values):.{digits}f}" if len(values) > 1 else found


def ratio(over: Sequence[Standing], under: Sequence[Standing]) -> float | None:
    """Mean hypervolume over mean hypervolume, of the seeds that both have; None where nothing can be compared."""
    seeds = {one.seed for one in over} & {one.seed for one in under}
    upper = sum(one.hypervolume for one in over if one.seed in seeds)
    lower = sum(one.hypervolume for one in under if one.seed in seeds)
    return upper / lower if seeds and lower > 0 else None

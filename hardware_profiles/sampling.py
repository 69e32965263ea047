"""The measuring protocol `interleaved-1`: which runs are timed, which of them count, and when it is enough.

Runs of the network alternate with runs of a fixed reference network in rounds of a few milliseconds. A shared virtual
host showed two speeds, a factor of 1.5 to 1.8 apart, for milliseconds or for minutes (presumably whether the core's
hyper-thread sibling works; not established), and thread-CPU time showed them alike. The reference tells them apart: a
round is *quiet* when the reference ran within 6 % of its known quiet time both before and after it. The headline
figure is the 10th percentile of the runs in quiet rounds.

How that was chosen: in a prototype (rounds of 10 ms, another reference, its quiet time read off the same data), four
networks were timed 40 times for 1.5 s each on a busy two-core machine. 24 to 26 of the 40 met enough quiet rounds; over
these the figure's coefficient of variation was 0.5 to 1.2 %. Over all 40, it was 19 to 30 % for the 10th percentile or
median of wall time and the 10th percentile of thread-CPU time, and 1 to 18 % for the ratio to the reference. So part of
the gain is that runs without quiet are set apart. `benchmarks/latency_repeatability.py` measures what is built here.

Rounds in which another process took the core, which the kernel's count of involuntary context switches tells, don't
count, nor do those right after.

Where the host doesn't become quiet in time, the figure is the ratio to the reference times the reference's quiet
time. That is off by up to 13 % on an otherwise idle core, since networks slow down by different factors, and was up to
55 % too high beside ten busy processes on two cores, whose traffic the small reference doesn't feel. Its interval says
so, and its protocol is marked.
"""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy

PROTOCOL = "interleaved-1"
CORRECTED = "interleaved-1 corrected"
"""The protocol of figures that were corrected by the reference, for want of quiet."""

TOLERANCE = 0.06
"""How far from its quiet time the reference may be in a quiet round."""
CORRECTION_BOUNDS = (0.6, 1.25)
"""Where the truth may lie, relative to a corrected figure."""
ROUND_NS = 2_000_000
REFERENCE_RUNS = 5
QUIET_ROUNDS = 8
QUIET_SHARE = 0.1
"""Quiet rounds that a figure takes at least: fewer may be chance, the reference having met two short lulls."""
CALIBRATION_S = 3.0
BLOCKS = 20
DRAWS = 200

Array = numpy.ndarray[Any, Any]


@dataclass(frozen=True)
class Plan:
    """When to stop: at an interval of `target` relative width, or at `cap_s`; without quiet, at `patience_s`."""

    cap_s: float = 2.0
    patience_s: float = 4.0
    target: float = 0.02
    least_s: float = 0.4


@dataclass(frozen=True)
class Estimate:
    """The headline figure in ns with its 95 % interval, and the runs it rests on."""

    headline: float
    low: float
    high: float
    corrected: bool
    quiet_share: float
    level: float
    samples: Array

    @property
    def width(self) -> float:
        """The interval's width relative to the figure."""
        return (self.high - self.low) / self.headline


def warm_up(run: Callable[[], object], seconds: float = 0.3) -> float:
    """Run until three batches in a row are no faster than what was seen before; the fastest run, in ns."""
    best, stable, deadline = float("inf"), 0, time.perf_counter() + seconds
    while stable < 3 and time.perf_counter() < deadline:
        fastest = min(abs(time_ns) for time_ns in _timed(run, 3))
        stable = stable + 1 if fastest > 0.98 * best else 0
        best = min(best, fastest)
    return best


def sample(
    network: Callable[[], object],
    reference: Callable[[], object],
    plan: Plan,
    level: float | None,
    alive: Callable[[], bool],
    check_s: float = 0.2,
) -> tuple[Estimate, str, int]:
    """Time in rounds until the plan is met; the estimate, why it stopped, and the number of rounds.

    `level` is the reference's known quiet time in ns, None to find it in these rounds. `alive` ends the sampling.
    """
    one = warm_up(network)
    runs = max(1, int(ROUND_NS / one))
    warm_up(reference, 0.1)
    rounds: list[list[int]] = []
    references = [_reference(reference)]
    start = time.perf_counter()
    least = plan.least_s if level is not None else CALIBRATION_S
    check = start + least
    while alive():
        if one < ROUND_NS / 2:
            network()  # what the reference took out of the caches comes back
        rounds.append(_timed(network, runs))
        references.append(_reference(reference))
        now = time.perf_counter()
        if now < check:
            continue
        found = estimate(numpy.array(rounds), numpy.array(references), level)
        why = _stop(found, now - start, plan)
        if why:
            return found, why, len(rounds)
        check = max(now + check_s, now + 3 * (time.perf_counter() - now))
    raise ConnectionAbortedError("nobody waits for the measurement any more")


def _stop(found: Estimate, seconds: float, plan: Plan) -> str:
    if found.corrected:
        return "never quiet" if seconds >= plan.patience_s else ""
    if found.width <= plan.target:
        return "converged"
    return "cap" if seconds >= plan.cap_s else ""


def estimate(rounds: Array, references: Array, level: float | None) -> Estimate:
    """The headline figure of `rounds` (rounds × runs, ns), between and around which the reference took `references`.

    A run that was interrupted has its CPU time, negative. There is one reference time more than there are rounds.
    """
    level = quiet_level(references, level)
    calm = references < (1 + TOLERANCE) * level
    clean: Array = rounds.min(axis=1) > 0
    # Another process that had the core leaves cold caches behind for the next round, too.
    quiet = calm[:-1] & calm[1:] & clean & numpy.concatenate([[True], clean[:-1]])
    corrected = int(quiet.sum()) < max(QUIET_ROUNDS, QUIET_SHARE * len(rounds))
    if corrected:
        around = (references[:-1] + references[1:]) / 2
        samples = numpy.abs(rounds).ravel()
        headline, low, high = _interval(numpy.abs(rounds) / around[:, None] * level, 50)
        low, high = min(low, headline * CORRECTION_BOUNDS[0]), max(high, headline * CORRECTION_BOUNDS[1])
    else:
        samples = rounds[quiet].ravel()
        headline, low, high = _interval(rounds[quiet], 10)
    return Estimate(headline, low, high, corrected, float(quiet.mean()), level, samples)


def quiet_level(references: Array, known: float | None) -> float:
    """The reference's quiet time: the known one, unless these rounds show a faster state or follow a slow drift."""
    fast = float(numpy.sort(references)[: max(5, len(references) // 10)].max())
    if known is None or fast < (1 - TOLERANCE) * known:
        known = fast
    near = references[references < (1 + TOLERANCE) * known]
    if 2 * len(near) < len(references):
        return known
    return 0.8 * known + 0.2 * float(numpy.median(near))


def _interval(rounds: Array, percent: float) -> tuple[float, float, float]:
    """A percentile of all runs, and its 95 % interval: a bootstrap over blocks of rounds, as neighbours are alike."""
    rng = numpy.random.default_rng(0)
    blocks = [block.ravel() for block in numpy.array_split(rounds, min(BLOCKS, len(rounds)))]
    headline = float(numpy.percentile(rounds, percent))
    picks = rng.integers(len(blocks), size=(DRAWS, len(blocks)))
    drawn = [float(numpy.percentile(numpy.concatenate([blocks[i] for i in pick]), percent)) for pick in picks]
    low, high = numpy.percentile(drawn, (2.5, 97.5))
    return headline, min(float(low), headline), max(float(high), headline)


def _timed(run: Callable[[], object], times: int) -> list[int]:
    """The time of each run in ns; when another process had the core meanwhile, the CPU time, negative."""
    clock, cpu, found, before = time.perf_counter_ns, time.thread_time_ns, [], _switches()
    for _ in range(times):
        used = cpu()
        start = clock()
        run()
        took = clock() - start
        after = _switches()
        found.append(took if after == before else used - cpu())
        before = after
    return found


def _switches() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _reference(run: Callable[[], object]) -> float:
    """The second slowest of a few runs: quiet means that it was quiet all along."""
    run()
    return float(sorted(map(abs, _timed(run, REFERENCE_RUNS)))[-2])

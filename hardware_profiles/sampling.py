"""How runs are timed: one slice at a time, in rounds of a few milliseconds, between runs of the reference network.

A slice is what the timing process does while it has the host to itself: some tenths of a second, within which nobody
trains. What is needed but needs no quiet (loading, checking, the long warm-up) comes before. Which rounds count, and
what they come to, is in `estimating`.

While a slice is taken, its process is scheduled before all others, where the system permits that (root, or
CAP_SYS_NICE): on a two-core machine full of other work (eight processes), a run of 3 ms was interrupted in two of
three rounds without it, and in one of two hundred with it.
"""

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROUND_NS = 2_000_000
REFERENCE_RUNS = 5
SETTLE_NS = 20_000_000
"""How long a slice runs the network and the reference before its first round: what ran before left other caches."""
FIRST = 1
"""The lowest of the real-time priorities: enough to come before everything that has none."""

Run = Callable[[], object]


@dataclass(frozen=True)
class Taken:
    """One slice: the runs of each round in ns, and the reference's time before, between and after the rounds.

    A run that was interrupted has its CPU time, negative. `others` is how many other threads wanted to run meanwhile.
    """

    rounds: list[list[int]]
    references: list[float]
    seconds: float
    others: float


def warm_up(run: Run, seconds: float = 0.3) -> float:
    """Run until three batches in a row are no faster than what was seen before; the fastest run, in ns."""
    best, stable, deadline = float("inf"), 0, time.perf_counter() + seconds
    while stable < 3 and time.perf_counter() < deadline:
        fastest = min(abs(time_ns) for time_ns in _timed(run, 3))
        stable = stable + 1 if fastest > 0.98 * best else 0
        best = min(best, fastest)
    return best


def take(network: Run, reference: Run, run_ns: float, seconds: float) -> Taken:
    """One slice of about `seconds`: a round more is begun only where it should end in time, but one there always is.

    `run_ns` is what one run of the network takes, as `warm_up` found; a round has as many as fit into `ROUND_NS`.
    """
    runs = max(1, int(ROUND_NS / run_ns))
    start, others = time.perf_counter(), runnable()
    with scheduled_first():
        _settle(network, reference, run_ns)
        rounds: list[list[int]] = []
        references = [_reference(reference)]
        while True:
            begun = time.perf_counter()
            if run_ns < ROUND_NS / 2:
                network()  # what the reference took out of the caches comes back
            rounds.append(_timed(network, runs))
            references.append(_reference(reference))
            now = time.perf_counter()
            if now + (now - begun) > start + seconds:
                return Taken(rounds, references, now - start, (others + runnable()) / 2)


def runnable() -> int:
    """How many other threads of this host run or wait for a core, 0 where the system doesn't tell."""
    try:
        return max(0, int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1)
    except (OSError, ValueError, IndexError):
        return 0


def _settle(network: Run, reference: Run, run_ns: float) -> None:
    for _ in range(min(5, int(SETTLE_NS / 2 / run_ns))):
        network()
    for _ in range(4 * REFERENCE_RUNS):
        reference()


@contextmanager
def scheduled_first() -> Iterator[None]:
    """All threads of this process before those of others, where that is permitted; else nothing changes."""
    threads = [int(name) for name in os.listdir("/proc/self/task")] if os.path.isdir("/proc/self/task") else []
    try:
        _schedule(threads, os.SCHED_FIFO, FIRST)
        yield
    finally:
        _schedule(threads, os.SCHED_OTHER, 0)


def _schedule(threads: list[int], policy: int, priority: int) -> None:
    for thread in threads:
        try:
            os.sched_setscheduler(thread, policy, os.sched_param(priority))
        except OSError:
            return  # not permitted to most users; a thread that has ended is one that needs nothing


def _timed(run: Run, times: int) -> list[int]:
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


def _reference(run: Run) -> float:
    """The second slowest of a few runs: quiet means that it was quiet all along."""
    run()
    return float(sorted(map(abs, _timed(run, REFERENCE_RUNS)))[-2])

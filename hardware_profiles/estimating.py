"""The measuring protocol `interleaved-2`: which of the timed rounds count, and what they come to.

Runs of the network alternate with runs of a fixed reference network in rounds of a few milliseconds, taken in slices
of some tenths of a second (`sampling`). All slices of a measurement are pooled.

A virtual host shows two speeds, a factor of 1.5 to 1.8 apart, for milliseconds or for minutes (presumably whether the
core's hyper-thread sibling works; not established), and thread-CPU time shows them alike. The reference tells them
apart: a round is *quiet* when the reference ran within 6 % of its known quiet time both before and after it. Where
enough of the rounds are quiet, the figure is the 10th percentile of the runs in them: a percentile of real runs, hence
*measured*. Rounds in which another process took the core, which the kernel's count of involuntary context switches
tells, don't count, nor do those right after.

Where too few are quiet, the figure is worked out, hence *predicted*: a network takes longer by the reference's
slowdown to a power that the network has of its own. Nine networks on a two-core virtual machine had 0.2 to 1.1: the
more they live on memory, the less. The power is fitted to the rounds, with what was seen of the nine as the prior, each
run is taken to the quiet speed by it, and the figure is their 10th percentile.

Intervals are bootstraps over slices and blocks of rounds within them, as neighbours are alike; that of a predicted
figure draws its power from the prior along with the rounds, so it is wide where they never came near quiet. What
doesn't vary within one measurement but from one to the next, a floor allows for: it depends on how quiet the host was,
and on how many other threads wanted to run on it. How all this was found to fit: `docs/benchmarks`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

PROTOCOL = "interleaved-2 (quiet rounds of pooled slices)"
CORRECTED = "interleaved-2 corrected (pooled slices, never quiet enough)"
"""The protocol of figures that were worked out with the reference, for want of quiet."""

TOLERANCE = 0.06
"""How far from its quiet time the reference may be in a quiet round."""
QUIET_ROUNDS = 8
QUIET_SHARE = 0.1
"""Quiet rounds that a figure takes at least: fewer may be chance, the reference having met two short lulls."""
PERCENT = 10
POWER, POWER_SPREAD = 0.65, 0.3
"""By what power of the reference's slowdown networks slow down: mean and standard deviation over networks."""
SCATTER = 0.15
"""How far, at least, a block of rounds may lie from the power law (standard deviation of the logarithm)."""
FLOOR, LOUD_FLOOR = 0.02, 0.05
"""Half the width, relative to the figure, that an interval has at least: where all rounds were quiet, and where none.

Neighbours take memory bandwidth and cache that the small reference doesn't miss.
"""
OTHERS_FLOOR, WIDEST_FLOOR = 0.01, 0.25
"""What each other thread of this host that wants to run adds to it, and the most that comes together.

Beside 15 to 20 of them on two cores, figures of networks with much memory, taken minutes apart, scattered by 12 %
(standard deviation) although every one was of rounds in which the reference was quiet, and hardly within one.
"""
BLOCKS = 20
DRAWS = 200

Array = numpy.ndarray[Any, Any]


@dataclass(frozen=True)
class Slice:
    """What was timed in one go: `rounds` (rounds × runs, in ns), and the reference before, between and after them.

    A run that was interrupted has its CPU time, negative. There is one reference time more than there are rounds.
    `others` is how many other threads of the host wanted to run meanwhile.
    """

    rounds: Array
    references: Array
    others: float = 0.0


@dataclass(frozen=True)
class Estimate:
    """The headline figure in ns with its 95 % interval, and the runs (ns) that it rests on.

    `corrected` figures are worked out; `quiet_share` is the share of rounds that were quiet, `level` the reference's
    quiet time in ns. `spread` is the bootstrap's width relative to the figure, which is less than the interval's.
    """

    headline: float
    low: float
    high: float
    corrected: bool
    quiet_share: float
    spread: float
    level: float
    samples: Array


def estimate(slices: Sequence[Slice], level: float | None) -> Estimate:
    """The headline figure of all rounds of all `slices`; `level` is the reference's known quiet time in ns, or None."""
    level = quiet_level(numpy.concatenate([one.references for one in slices]), level)
    clean = [_clean(one) for one in slices]
    quiet = [_calm(one, level) & good for one, good in zip(slices, clean, strict=True)]
    count, rounds = sum(int(one.sum()) for one in quiet), sum(map(len, quiet))
    blocks_each = max(2, BLOCKS // len(slices))
    if count >= max(QUIET_ROUNDS, QUIET_SHARE * rounds):
        counted = [one.rounds[picked] for one, picked in zip(slices, quiet, strict=True) if picked.any()]
        groups = [_blocks(one, blocks_each) for one in counted]
        found = _interval(groups, lambda blocks, _: percentile(numpy.concatenate(blocks)))
        samples = numpy.concatenate([one.ravel() for one in counted])
        return _estimate(found, False, count / rounds, level, samples, slices)
    # Without a clean round, runs have their CPU times.
    usable = (
        clean if sum(int(one.sum()) for one in clean) >= QUIET_ROUNDS else [numpy.full(len(o), True) for o in clean]
    )
    counted = [
        numpy.column_stack([_slowdown(one, level), _logarithm(one.rounds), numpy.abs(one.rounds)])[picked]
        for one, picked in zip(slices, usable, strict=True)
        if picked.any()
    ]
    found = _interval([_blocks(one, blocks_each) for one in counted], _at_quiet_speed)
    samples = numpy.concatenate([one[:, 2:].ravel() for one in counted])
    return _estimate(found, True, count / rounds, level, samples, slices)


def _estimate(
    found: tuple[float, float, float],
    corrected: bool,
    quiet_share: float,
    level: float,
    samples: Array,
    slices: Sequence[Slice],
) -> Estimate:
    headline, low, high = found
    others = sum(one.others for one in slices) / len(slices)
    floor = min(WIDEST_FLOOR, FLOOR + (1 - quiet_share) * (LOUD_FLOOR - FLOOR) + others * OTHERS_FLOOR)
    least = min(low, headline * (1 - floor)), max(high, headline * (1 + floor))
    return Estimate(headline, *least, corrected, quiet_share, (high - low) / headline, level, samples)


def quiet_level(references: Array, known: float | None) -> float:
    """The reference's quiet time: the known one, unless these rounds show a faster state or follow a slow drift."""
    fast = float(numpy.sort(references)[: max(5, len(references) // 10)].max())
    if known is None or fast < (1 - TOLERANCE) * known:
        known = fast
    near = references[references < (1 + TOLERANCE) * known]
    if 2 * len(near) < len(references):
        return known
    return 0.8 * known + 0.2 * float(numpy.median(near))


def percentile(runs: Array) -> float:
    """The figure of runs that took the same network at the same speed."""
    return float(numpy.percentile(runs, PERCENT))


def _clean(one: Slice) -> Array:
    """The rounds that no other process took the core in: it leaves cold caches behind for the next round, too."""
    alone: Array = one.rounds.min(axis=1) > 0
    return alone & numpy.concatenate([[True], alone[:-1]])


def _calm(one: Slice, level: float) -> Array:
    calm: Array = one.references < (1 + TOLERANCE) * level
    return calm[:-1] & calm[1:]


def _slowdown(one: Slice, level: float) -> Array:
    """How much slower than when quiet the reference was around each round, as a logarithm."""
    around = (one.references[:-1] + one.references[1:]) / 2
    return numpy.log(numpy.maximum(around / level, 1.0))


def _logarithm(rounds: Array) -> Array:
    found: Array = numpy.log(numpy.median(numpy.abs(rounds), axis=1))
    return found


def _at_quiet_speed(blocks: Sequence[Array], prior: float) -> float:
    """The figure of rounds (the first columns: logarithms of slowdown and time), each taken to the quiet speed.

    The power is that of a least-squares line with a normal prior around `prior`; a block counts as one observation.
    """
    rounds = numpy.concatenate(blocks)
    x, y = rounds[:, 0], rounds[:, 1]
    apart, weight = x - x.mean(), len(blocks) / len(x)
    scatter = max(SCATTER, float(y.std()))
    precision = weight * float((apart**2).sum()) / scatter**2
    pull = weight * float((apart * y).sum()) / scatter**2
    power = (pull + prior / POWER_SPREAD**2) / (precision + 1 / POWER_SPREAD**2)
    return percentile(rounds[:, 2:] * numpy.exp(-max(0.0, power) * x)[:, None])


def _blocks(rounds: Array, count: int) -> list[Array]:
    return numpy.array_split(rounds, min(count, len(rounds)))


def _interval(
    slices: Sequence[Sequence[Array]], figure: Callable[[Sequence[Array], float], float]
) -> tuple[float, float, float]:
    """The figure of all blocks of all slices, and its 95 % interval.

    Each draw takes as many slices as there are, with replacement, of each as many of its blocks, and a power of its
    own. Of a single slice, its blocks alone are drawn.
    """
    rng = numpy.random.default_rng(0)
    headline = figure([block for one in slices for block in one], POWER)
    drawn = []
    for _ in range(DRAWS):
        picked = [slices[place] for place in rng.integers(len(slices), size=len(slices))]
        blocks = [one[place] for one in picked for place in rng.integers(len(one), size=len(one))]
        drawn.append(figure([block.reshape(len(block), -1) for block in blocks], rng.normal(POWER, POWER_SPREAD)))
    low, high = numpy.percentile(drawn, (2.5, 97.5))
    return headline, float(low), float(high)

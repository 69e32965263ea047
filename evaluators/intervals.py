"""How far a figure is known: the interval of one test, and that of several runs."""

from collections.abc import Callable, Sequence
from math import sqrt
from statistics import mean, quantiles, stdev
from typing import Any

import numpy as np

from archfront.contracts import Metric, Provenance, Summary

STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""The 97.5 % quantiles of Student's t distribution with 1, 2, 3 … degrees of freedom."""
NORMAL = 1.96
RESAMPLES = 400
"""Resamples of a bootstrap: the 2.5 and 97.5 % quantiles are then the mean of a few on either side."""


def accuracy(name: str, correct: int, total: int, provenance: Provenance) -> Metric:
    """The share of correct answers with its 95 % interval."""
    low, high = wilson(correct, total)
    return Metric(name, correct / total, "fraction", low=low, high=high, provenance=provenance)


def wilson(correct: int, total: int, z: float = NORMAL) -> tuple[float, float]:
    """Wilson's score interval of a proportion: it stays within 0 and 1, and is sound near both."""
    share = correct / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def averaged(name: str, sums: Any, counts: Any, provenance: Provenance, unit: str = "") -> Metric:
    """The mean of something that is never negative over the parts that examples have, with its 95 % interval.

    `sums` and `counts` say what each example's parts (pixels of a picture, tokens of a text) sum up to and how many
    they are. The parts of one example are alike, so the spread is that between examples: the linearised variance of
    a ratio. Of one example alone, no interval is known.
    """
    sums, counts = np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    total, n = max(float(counts.sum()), 1.0), len(sums)
    middle = float(sums.sum()) / total
    if n < 2:
        return Metric(name, middle, unit, provenance=provenance)
    half = NORMAL * sqrt(n / (n - 1) * float(((sums - middle * counts) ** 2).sum())) / total
    high = min(1.0, middle + half) if unit == "fraction" else middle + half
    return Metric(name, middle, unit, low=max(0.0, middle - half), high=high, provenance=provenance)


def bootstrap(statistic: Callable[[Any], Any], examples: int, resamples: int = RESAMPLES) -> tuple[float, float, float]:
    """A statistic, and its 95 % percentile interval over resampled examples, the same for the same data.

    `statistic` takes how often each example counts, float64 (resamples, examples), and gives the figure of each
    resample, (resamples,). The interval holds the figure itself, which that of a biased statistic otherwise may not.
    """
    rng = np.random.default_rng([examples, 0xB007])
    evenly = np.full(examples, 1 / examples)
    value = float(statistic(np.ones((1, examples)))[0])
    found = [value]
    while len(found) <= resamples:
        # In parts, so that the counts of many examples don't fill the memory.
        size = min(resamples + 1 - len(found), max(1, 4_000_000 // examples))
        found.extend(statistic(rng.multinomial(examples, evenly, size=size).astype(np.float64)).tolist())
    low, high = np.quantile(found[1:], [0.025, 0.975])
    return value, min(value, float(low)), max(value, float(high))


def over_runs(runs: Sequence[Metric], provenance: Provenance) -> Metric:
    """The mean of one metric over two runs or more, with its 95 % interval from the spread between them.

    The interval is Student's: it says how far the mean of endlessly many runs may be from this one, on the same test
    pictures. Fractions stay within 0 and 1. The summary is that of the runs.
    """
    values = [run.value for run in runs]
    middle = mean(values)
    degrees = len(values) - 1
    quantile = STUDENT[degrees - 1] if degrees <= len(STUDENT) else NORMAL + 2.4 / (degrees - 1)
    half = quantile * stdev(values) / sqrt(len(values))
    low, high = middle - half, middle + half
    if runs[0].unit == "fraction":
        low, high = max(0.0, low), min(1.0, high)
    return Metric(
        runs[0].name, middle, runs[0].unit, low=low, high=high, summary=summary(values), provenance=provenance
    )


def summary(values: Sequence[float]) -> Summary:
    """What is kept of a few runs' values."""
    cuts = quantiles(values, n=100, method="inclusive")
    return Summary(len(values), cuts[9], cuts[49], cuts[89], cuts[98])

"""How far a figure is known: the interval of one test, and that of several runs."""

from collections.abc import Sequence
from math import sqrt
from statistics import mean, quantiles, stdev

from archfront.contracts import Metric, Provenance, Summary

STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""The 97.5 % quantiles of Student's t distribution with 1, 2, 3 … degrees of freedom."""
NORMAL = 1.96


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

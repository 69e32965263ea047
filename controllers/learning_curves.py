"""Learning curves: what a training that was stopped early would have come to, with an interval."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np

from archfront.contracts import Objective

USUAL, USUAL_SPREAD = 0.25, 0.15
"""The exponent by which errors fall with epochs, and its spread among networks, where no curve is known yet."""
BELIEF = 4.0
"""As many curves as the usual exponent counts for."""
LEAST = 1e-4
"""Of errors; with fewer than 10,000 validation examples no smaller one can be told from none."""


@dataclass(frozen=True)
class Expected:
    """A metric's expected value after more epochs, within `low` and `high` in 95 of 100 cases."""

    value: float
    low: float
    high: float


def expected(
    curves: Mapping[str, Sequence[tuple[int, float]]], objective: Objective, epochs: float
) -> dict[str, Expected]:
    """What each candidate's metric would be after `epochs` epochs, by its (epochs, value) so far, fewest epochs first.

    Errors are taken to fall as a power of the epochs, error(e) = error(r) (r / e)^b. The exponent b is believed to be
    alike among the networks of a search, and is learnt from those with two figures or more. The error is 1 - value
    of a metric to be maximised, whose best value is 1, else the value; what isn't positive is left as it is.
    """
    slopes = [slope for curve in curves.values() for slope in _slopes(curve, objective)]
    mean = (BELIEF * USUAL + sum(slopes)) / (BELIEF + len(slopes))
    squares = BELIEF * USUAL_SPREAD**2 + sum((slope - mean) ** 2 for slope in slopes)
    spread = float(np.sqrt(squares / (BELIEF + len(slopes))))
    return {digest: _one(curve[-1], objective, epochs, mean, spread) for digest, curve in curves.items() if curve}


def _slopes(curve: Sequence[tuple[int, float]], objective: Objective) -> list[float]:
    """The exponents between neighbouring figures of one curve."""
    found = []
    for (few, before), (many, after) in itertools.pairwise(curve):
        first, last = _error(before, objective), _error(after, objective)
        if first is not None and last is not None and many > few:
            found.append(log(first / last) / log(many / few))
    return found


def _one(last: tuple[int, float], objective: Objective, epochs: float, mean: float, spread: float) -> Expected:
    done, value = last
    error = _error(value, objective)
    if error is None or epochs <= done:
        return Expected(value, value, value)
    further = log(epochs / done)
    errors = [error * exp(-max(0.0, slope) * further) for slope in (mean, mean - 2 * spread, mean + 2 * spread)]
    middle, *ends = (1 - one if objective.direction == "max" else one for one in errors)
    return Expected(middle, min(ends), max(ends))


def _error(value: float, objective: Objective) -> float | None:
    error = 1 - value if objective.direction == "max" else value
    return max(error, LEAST) if error >= 0 else None

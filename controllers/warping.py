"""A monotone change of scale after which values are spread about as a normal distribution."""

import numpy as np

from controllers.encoding import Floats

FAR = 3.0
"""Interquartile ranges beyond the upper quartile where Tukey's outer fence stands."""
POWERS = np.linspace(-2.0, 2.0, 21)


class Warping:
    """Losses on a scale that a Gaussian process understands: mean 0, deviation 1, and no far outliers.

    Losses that are all above zero (latencies, parameters) are taken by their logarithm. What lies beyond the outer
    fence on the bad side is moved to it: how bad a hopeless candidate is says nothing about good ones. Then comes the
    Yeo-Johnson transformation ("A New Family of Power Transformations to Improve Normality or Symmetry"), its power
    by maximum likelihood.
    """

    def __init__(self, values: Floats) -> None:
        self._log = bool((values > 0).all())
        known = np.log(values) if self._log else values
        low, self._middle, high = np.quantile(known, [0.25, 0.5, 0.75])
        self._fence = high + FAR * (high - low)
        self._scale = (high - low) or known.std() or 1.0
        unit = (np.minimum(known, self._fence) - self._middle) / self._scale
        self._power = _likeliest(unit)
        changed = _yeo_johnson(unit, self._power)
        self._mean, self._deviation = changed.mean(), changed.std() or 1.0

    @property
    def fence(self) -> float:
        """The loss beyond which all losses are alike."""
        return float(np.exp(min(self._fence, 700.0)) if self._log else self._fence)

    def forward(self, values: Floats) -> Floats:
        """Losses on the new scale."""
        known = np.log(values) if self._log else values
        unit = (np.minimum(known, self._fence) - self._middle) / self._scale
        return np.asarray((_yeo_johnson(unit, self._power) - self._mean) / self._deviation)

    def inverse(self, values: Floats) -> Floats:
        """Values of the new scale as losses again, none beyond the fence."""
        unit = _yeo_johnson_inverse(values * self._deviation + self._mean, self._power)
        known = np.minimum(unit * self._scale + self._middle, self._fence)
        return np.asarray(np.exp(np.minimum(known, 700.0)) if self._log else known)


def _likeliest(unit: Floats) -> float:
    jacobian = (np.sign(unit) * np.log1p(np.abs(unit))).sum()
    spread = np.array([_yeo_johnson(unit, power).var() for power in POWERS])
    return float(POWERS[np.argmax(-0.5 * len(unit) * np.log(spread + 1e-300) + (POWERS - 1) * jacobian)])


def _yeo_johnson(values: Floats, power: float) -> Floats:
    above, below = np.maximum(values, 0), np.maximum(-values, 0)
    return _box_cox(above, power) - _box_cox(below, 2 - power)


def _yeo_johnson_inverse(values: Floats, power: float) -> Floats:
    above, below = np.maximum(values, 0), np.maximum(-values, 0)
    return _box_cox_inverse(above, power) - _box_cox_inverse(below, 2 - power)


def _box_cox(values: Floats, power: float) -> Floats:
    return np.asarray(np.log1p(values) if abs(power) < 1e-6 else ((values + 1) ** power - 1) / power)


def _box_cox_inverse(values: Floats, power: float) -> Floats:
    if abs(power) < 1e-6:
        return np.asarray(np.expm1(np.minimum(values, 30.0)))
    return np.asarray(np.maximum(values * power + 1, 1e-4) ** (1 / power) - 1)

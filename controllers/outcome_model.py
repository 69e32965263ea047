"""What model-based controllers believe of candidates: a Gaussian process per objective, per constraint, for failure."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from archfront.contracts import Constraint, Evaluation, Status
from controllers.acquisition import Below
from controllers.archive import Member
from controllers.encoding import BinaryEncoding, Floats, Vectors
from controllers.surrogate import GaussianProcess, Posterior, fit

FAR = 3.0
"""Losses further beyond the median than this many times the best's distance from it don't count as a reference."""
SURELY = 0.05
"""No candidate is believed to succeed with less probability than this, lest one failure bans a region."""


@dataclass(frozen=True)
class Observation:
    """An evaluation as a model needs it."""

    evaluation: Evaluation
    member: Member | None

    @property
    def failed(self) -> bool:
        """Whether it came to nothing, other than by a constraint that is modelled itself."""
        return self.member is None and self.evaluation.status != Status.INFEASIBLE


class Scale:
    """Figures as normal scores: the quantile of the normal distribution at their rank among those observed.

    So neither skewed figures nor arbitrarily bad ones (a network that learns nothing) hide what tells good ones apart.
    Linear between observations; beyond them as steep as the nearest quarter of them.
    """

    def __init__(self, values: Floats) -> None:
        self._values, numbers = np.unique(values, return_counts=True)
        middles = np.cumsum(numbers) - 0.5 * numbers
        self._scores = ndtri(middles / len(values))
        quarter = len(self._values) // 4 + 1
        self._slopes = [self._slope(0, quarter), self._slope(-1, -1 - quarter)]

    def _slope(self, end: int, inner: int) -> float:
        if len(self._values) < 3:
            return 1.0 / (float(np.abs(self._values).max()) or 1.0)
        return float((self._scores[inner] - self._scores[end]) / (self._values[inner] - self._values[end]))

    def __call__(self, values: Floats) -> Floats:
        low, high = self._values[0], self._values[-1]
        beyond = self._slopes[0] * np.minimum(values - low, 0) + self._slopes[1] * np.maximum(values - high, 0)
        return np.asarray(np.interp(values, self._values, self._scores) + beyond)

    def inverse(self, scores: Floats) -> Floats:
        """The figures of the scores, within what was observed."""
        return np.interp(scores, self._scores, self._values)


Known = Sequence[tuple[Observation, Vectors]]
"""Observations, each with its architecture's vector."""
Read = Callable[[Observation], float | None]


class Outcome:
    """One figure of the candidates, modelled: its scale, its process, and the posterior over the pool."""

    def __init__(self, read: Read, scaled: bool, known: Known, encoding: BinaryEncoding, pool: Vectors) -> None:
        self._read = read
        rows = [(value, vector) for o, vector in known if (value := read(o)) is not None]
        values, vectors = np.array([value for value, _ in rows]), np.stack([vector for _, vector in rows])
        self.best, self.median, self.worst = float(values.min()), float(np.median(values)), float(values.max())
        self._scale = Scale(values) if scaled else None
        targets = self.scale(values)
        self.process = GaussianProcess(fit(encoding, vectors, targets), vectors, targets)
        self._pool = Posterior(self.process, pool) if len(pool) else None

    def scale(self, values: Floats) -> Floats:
        """The figures as the process knows them."""
        return values if self._scale is None else self._scale(values)

    def unscale(self, scores: Floats) -> Floats:
        """The figures that the process knows as these scores."""
        return scores if self._scale is None else self._scale.inverse(scores)

    def extend(self, known: Known) -> None:
        """Take further observations in."""
        for observation, vector in known:
            value = self._read(observation)
            if value is not None:
                self.best, self.worst = min(self.best, value), max(self.worst, value)
                self.process.append(vector, float(self.scale(np.array(value))))
                if self._pool is not None:
                    self._pool.extend()

    def predict(self, vectors: Vectors | None) -> tuple[Floats, Floats]:
        """Mean and variance at the vectors, or, without any, over the whole pool."""
        if vectors is not None:
            return Posterior(self.process, vectors).predict()
        assert self._pool is not None
        return self._pool.predict()


class OutcomeModel:
    """The objectives' losses, the constraints' excess, and whether candidates fail, all as Gaussian processes."""

    def __init__(
        self,
        encoding: BinaryEncoding,
        objectives: int,
        constraints: Sequence[Constraint],
        known: Known,
        pool: Vectors,
    ) -> None:
        def outcome(read: Read, scaled: bool = True) -> Outcome:
            return Outcome(read, scaled, known, encoding, pool)

        self.losses = [outcome(_loss(i)) for i in range(objectives)]
        measured = [c for c in constraints if any(_excess(c)(o) is not None for o, _ in known)]
        self.excesses = [outcome(_excess(constraint)) for constraint in measured]
        some_failed = any(o.failed for o, _ in known)
        self.failures = [outcome(lambda o: float(o.failed), scaled=False)] if some_failed else []

    @property
    def outcomes(self) -> list[Outcome]:
        """All figures."""
        return [*self.losses, *self.excesses, *self.failures]

    def extend(self, known: Known) -> None:
        """Take further observations in, without fitting the kernels anew."""
        for outcome in self.outcomes:
            outcome.extend(known)

    @contextmanager
    def pending(self, vectors: Vectors) -> Iterator[Floats]:
        """Believe, inside, that these candidates are under way; gives their expected losses, (n, objectives)."""
        expected = np.zeros((len(vectors), len(self.losses)))
        for i, outcome in enumerate(self.losses if len(vectors) else []):
            expected[:, i] = outcome.unscale(outcome.predict(vectors)[0])
        for outcome in self.outcomes:
            for vector in vectors:
                outcome.process.append(vector)
        try:
            yield expected
        finally:
            for outcome in self.outcomes:
                outcome.process.forget_pending()

    def ideal(self) -> Floats:
        """Losses that are hardly ever reached: as far beyond the best as the median is from it."""
        return np.array([2 * o.best - max(o.median, _above(o.best)) for o in self.losses])

    def reference(self) -> Floats:
        """The worst losses that count: those observed, unless they are far off all the others."""
        far = [min(o.worst, o.median + FAR * (o.median - o.best)) for o in self.losses]
        return np.array([max(loss, _above(o.best)) for o, loss in zip(self.losses, far, strict=True)])

    def below(self, vectors: Vectors | None) -> Below:
        """The probabilities that a candidate's losses are below given values; at the vectors or over the pool."""
        predictions = [outcome.predict(vectors) for outcome in self.losses]

        def probability(index: int, values: Floats) -> Floats:
            mean, variance = predictions[index]
            return np.asarray(ndtr((self.losses[index].scale(values)[:, None] - mean) / np.sqrt(variance)))

        return probability

    def predicted_success(self, vectors: Vectors | None) -> Floats | float:
        """The probability that a candidate is evaluated and keeps every constraint."""
        success: Floats | float = 1.0
        for outcome in self.excesses:
            mean, variance = outcome.predict(vectors)
            success = success * ndtr((float(outcome.scale(np.array(0.0))) - mean) / np.sqrt(variance))
        for outcome in self.failures:
            success = success * np.clip(1 - outcome.predict(vectors)[0], SURELY, 1)
        return success


def _above(value: float) -> float:
    return value + max(1e-9, 1e-6 * abs(value))


def _loss(index: int) -> Read:
    return lambda observation: None if observation.member is None else observation.member.losses[index]


def _excess(constraint: Constraint) -> Read:
    """By how much the bound is broken, relative to it; negative where there is room."""

    def read(observation: Observation) -> float | None:
        value = observation.evaluation.values.get(constraint.metric)
        if value is None or not np.isfinite(value):
            return None
        over = value - constraint.bound if constraint.upper else constraint.bound - value
        return over / (abs(constraint.bound) or 1.0)

    return read

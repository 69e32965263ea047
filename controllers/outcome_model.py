"""What model-based controllers believe of candidates: a Gaussian process per objective, per constraint, for failure."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from archfront.contracts import Constraint, Evaluation, Status
from controllers.archive import Member
from controllers.encoding import BinaryEncoding, Floats, Vectors
from controllers.surrogate import GaussianProcess, Kernel, Posterior, fit, log_likelihood

FAR = 4.5
"""Losses further from the best than this many times the median of random candidates don't count as worse."""
MARGIN = 0.5
"""How far beyond the worst loss that counts hypervolume is measured from, relative to its distance from the best."""
OFFSETS = (0.3, 1.0)
"""What a scale may have as its offset; the likelier one is taken."""
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
    """Figures as logarithms of their distance from a point below the best, standardised.

    The nearer that point (`offset`, in units of how far a random candidate is from the best), the more the scale tells
    good figures apart; the farther, the more it is linear. Figures far beyond the random ones count as less bad than
    they are, so that a few networks that learn nothing don't hide what tells the others apart.
    """

    def __init__(self, values: Floats, unit: float, offset: float = 1.0, far: float = FAR) -> None:
        self._low = float(values.min()) - offset * unit
        self._least = 1e-9 * offset * unit
        self.limit = float(values.min()) + far * unit
        logs = np.log(np.minimum(values, self.limit) - self._low)
        self._mean, self._deviation = float(logs.mean()), float(logs.std()) or 1.0
        self.stretch = float(logs.sum()) + len(values) * float(np.log(self._deviation))
        """Minus the logarithm of the density of the figures over that of their scores."""

    def __call__(self, values: Floats) -> Floats:
        return (np.log(np.maximum(values - self._low, self._least)) - self._mean) / self._deviation

    def targets(self, values: Floats) -> Floats:
        """The scores of observed figures: those too bad to matter are all equal."""
        return self(np.minimum(values, self.limit))

    def inverse(self, scores: Floats) -> Floats:
        """The figures of the scores."""
        return self._low + np.exp(scores * self._deviation + self._mean)


class Linear:
    """Figures as they are."""

    def __call__(self, values: Floats) -> Floats:
        return values

    targets = inverse = __call__


Known = Sequence[tuple[Observation, Vectors]]
"""Observations, each with its architecture's vector."""
Read = Callable[[Observation], float | None]
Rows = npt.NDArray[np.intp] | None


class Outcome:
    """One figure of the candidates, modelled: its scale, its process, and the posterior over the pool."""

    def __init__(
        self, read: Read, known: Known, first: int, encoding: BinaryEncoding, pool: Vectors, far: float | None = FAR
    ) -> None:
        self._read = read
        rows = [(value, vector) for o, vector in known if (value := read(o)) is not None]
        values, vectors = np.array([value for value, _ in rows]), np.stack([vector for _, vector in rows])
        self.best, self.worst = float(values.min()), float(values.max())
        # What search has found since is better than random, and would make the unit shrink.
        median = float(np.median(values[:first]))
        self.unit = median - self.best or max(self.worst, _above(self.best)) - self.best
        self._scale: Scale | Linear = Linear()
        self.limit = self.worst
        if far is None:
            kernel = fit(encoding, vectors, values)
        else:
            self._scale, kernel = _fitted(encoding, vectors, values, self.unit, far)
            self.limit = min(self.worst, self._scale.limit)
        self.process = GaussianProcess(kernel, vectors, self._scale.targets(values))
        self._pool = Posterior(self.process, pool) if len(pool) else None

    def scale(self, values: Floats) -> Floats:
        """The figures as the process knows them."""
        return self._scale(values)

    def unscale(self, scores: Floats) -> Floats:
        """The figures that the process knows as these scores."""
        return self._scale.inverse(scores)

    def extend(self, known: Known) -> None:
        """Take further observations in."""
        for observation, vector in known:
            value = self._read(observation)
            if value is not None:
                self.best, self.worst = min(self.best, value), max(self.worst, value)
                self.process.append(vector, float(self._scale.targets(np.array(value))))
                if self._pool is not None:
                    self._pool.extend()

    def predict(self, vectors: Vectors | None, rows: Rows = None) -> tuple[Floats, Floats]:
        """Mean and variance at the vectors, or, without any, at rows of the pool."""
        if vectors is not None:
            return Posterior(self.process, vectors).predict()
        assert self._pool is not None
        means, variances = self._pool.predict()
        return (means, variances) if rows is None else (means[rows], variances[rows])


class OutcomeModel:
    """The objectives' losses, the constraints' excess, and whether candidates fail, all as Gaussian processes."""

    def __init__(
        self,
        encoding: BinaryEncoding,
        objectives: int,
        constraints: Sequence[Constraint],
        known: Known,
        first: int,
        pool: Vectors,
    ) -> None:
        def outcome(read: Read, far: float | None = FAR) -> Outcome:
            return Outcome(read, known, first, encoding, pool, far)

        self.losses = [outcome(_loss(i)) for i in range(objectives)]
        measured = [c for c in constraints if any(_excess(c)(o) is not None for o, _ in known)]
        self.excesses = [outcome(_excess(constraint), np.inf) for constraint in measured]
        some_failed = any(o.failed for o, _ in known)
        self.failures = [outcome(lambda o: float(o.failed), None)] if some_failed else []

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
        """Losses that are hardly ever reached: as far beyond the best as a random candidate is behind it."""
        return np.array([o.best - o.unit for o in self.losses])

    def reference(self) -> Floats:
        """Losses somewhat worse than the worst that count, so that the ends of the front are worth extending."""
        limits = [max(o.limit, _above(o.best)) for o in self.losses]
        return np.array([limit + MARGIN * (limit - o.best) for o, limit in zip(self.losses, limits, strict=True)])

    def predict(self, vectors: Vectors | None, rows: Rows = None) -> "Prediction":
        """Of every loss; at the vectors or at rows of the pool."""
        return Prediction(self.losses, [outcome.predict(vectors, rows) for outcome in self.losses])

    def predicted_success(self, vectors: Vectors | None, rows: Rows = None) -> Floats | float:
        """The probability that a candidate is evaluated and keeps every constraint."""
        success: Floats | float = 1.0
        for outcome in self.excesses:
            mean, variance = outcome.predict(vectors, rows)
            success = success * ndtr((float(outcome.scale(np.array(0.0))) - mean) / np.sqrt(variance))
        for outcome in self.failures:
            success = success * np.clip(1 - outcome.predict(vectors, rows)[0], SURELY, 1)
        return success


class Prediction:
    """Means and variances of each loss of some candidates."""

    def __init__(self, losses: Sequence[Outcome], moments: Sequence[tuple[Floats, Floats]]) -> None:
        self._losses = losses
        self._moments = moments

    def below(self, index: int, values: Floats) -> Floats:
        """The probabilities that a loss is below the values, (values, candidates)."""
        mean, variance = self._moments[index]
        return np.asarray(ndtr((self._losses[index].scale(values)[:, None] - mean) / np.sqrt(variance)))


def _fitted(
    encoding: BinaryEncoding, vectors: Vectors, values: Floats, unit: float, far: float
) -> tuple[Scale, Kernel]:
    """The scale under which a process makes the figures most likely, and its kernel."""
    scale = Scale(values, unit, far=far)
    kernel = fit(encoding, vectors, scale.targets(values))
    scales = [Scale(values, unit, offset, far) for offset in OFFSETS]
    costs = [s.stretch - log_likelihood(kernel, vectors, s.targets(values)) for s in scales]
    best = scales[int(np.argmin(costs))]
    return best, fit(encoding, vectors, best.targets(values))


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

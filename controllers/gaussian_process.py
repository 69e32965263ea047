"""A Gaussian process over architectures, whose kernel is fitted to what was observed."""

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

from controllers.encoding import Encoding, Floats, Vectors

ADDITIVE, COUNTED, JOINT, NOISE, RATES = 0, 1, 2, 3, 4
"""Places of the hyper-parameters, logarithms all: three shares of variance, the noise's, and a rate per decision."""
JITTER = 1e-6
STEPS = 15
"""Of the optimizer, in a fit."""


class GaussianProcess:
    """Values of architectures as the sum of three effects.

    - Additive: each decision has its own effect (a linear kernel on equal options).
    - Counted: each option has its own effect, wherever it is chosen.
    - Joint: decisions act together; the kernel falls exponentially in a weighted Hamming distance, and how fast it
      falls with each decision is fitted ("Think Global and Act Local: Bayesian Optimisation over High-Dimensional
      Categorical and Mixed Search Spaces").

    Hyper-parameters maximise the likelihood times a prior, from the same start in every fit.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        rates = np.full(encoding.decisions, 0.25 * min(1.0, 6 / max(encoding.decisions, 1)))
        self._prior = np.log(np.concatenate([[0.5, 0.3, 0.5, 1e-3], rates]))
        self._spread = np.concatenate([[1.0, 1.0, 1.0, 1.5], np.ones(encoding.decisions)])
        self._settings = self._prior

    def fit(self, vectors: Vectors, values: Floats) -> None:
        """Find the hyper-parameters; values have mean 0 and deviation 1."""
        additive, counted = self._additive(vectors, vectors), vectors.counts @ vectors.counts.T
        bounds = [(-13.0, 4.0)] * RATES + [(-8.0, 3.0)] * self._encoding.decisions

        def cost(settings: Floats) -> tuple[float, Floats]:
            return self._cost(settings, vectors, values, additive, counted)

        found = minimize(cost, self._prior, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS})
        self._settings = found.x

    def kernel(self, left: Vectors, right: Vectors) -> Floats:
        """The covariance of the values of architectures: (len(left), len(right))."""
        shares = np.exp(self._settings[:RATES])
        joint = np.exp(-self._encoding.distance(left, right, np.exp(self._settings[RATES:])))
        counted = left.counts @ right.counts.T
        return np.asarray(
            shares[ADDITIVE] * self._additive(left, right) + shares[COUNTED] * counted + shares[JOINT] * joint
        )

    def variance(self, vectors: Vectors) -> Floats:
        """The kernel's diagonal."""
        shares = np.exp(self._settings[:RATES])
        counted = (vectors.counts**2).sum(axis=1)
        return np.asarray(shares[ADDITIVE] + shares[COUNTED] * counted + shares[JOINT])

    @property
    def noise(self) -> float:
        """The variance of what no decision explains."""
        return float(np.exp(self._settings[NOISE])) + JITTER

    def _additive(self, left: Vectors, right: Vectors) -> Floats:
        count = max(self._encoding.decisions, 1)
        return 1.0 - self._encoding.distance(left, right, np.full(self._encoding.decisions, 1.0 / count))

    def _cost(
        self, settings: Floats, vectors: Vectors, values: Floats, additive: Floats, counted: Floats
    ) -> tuple[float, Floats]:
        """The negative logarithm of likelihood times prior, and its gradient."""
        shares, rates = np.exp(settings[:RATES]), np.exp(settings[RATES:])
        joint = np.exp(-self._encoding.distance(vectors, vectors, rates))
        kernel = shares[ADDITIVE] * additive + shares[COUNTED] * counted + shares[JOINT] * joint
        kernel[np.diag_indices_from(kernel)] += shares[NOISE] + JITTER
        factor = np.linalg.cholesky(kernel)
        inverse = cho_solve((factor, True), np.eye(len(values)))
        weights = inverse @ values
        away = (settings - self._prior) / self._spread
        cost = 0.5 * values @ weights + np.log(np.diag(factor)).sum() + 0.5 * away @ away
        outer = 0.5 * (inverse - np.outer(weights, weights))
        slope = np.empty_like(settings)
        slope[ADDITIVE] = shares[ADDITIVE] * (outer * additive).sum()
        slope[COUNTED] = shares[COUNTED] * (outer * counted).sum()
        slope[JOINT] = shares[JOINT] * (outer * joint).sum()
        slope[NOISE] = shares[NOISE] * np.trace(outer)
        slope[RATES:] = -rates * self._encoding.gradient(vectors, shares[JOINT] * outer * joint)
        return float(cost), slope + away / self._spread


class Observed:
    """Architectures whose values are known, and how they hang together under a process."""

    def __init__(self, process: GaussianProcess, vectors: Vectors, kernel: Floats | None = None) -> None:
        self._process, self._vectors = process, vectors
        self._kernel = process.kernel(vectors, vectors) if kernel is None else kernel
        self._factor = np.linalg.cholesky(self._kernel + process.noise * np.eye(len(vectors)))

    def __len__(self) -> int:
        return len(self._vectors)

    def joined(self, vectors: Vectors) -> "Observed":
        """These architectures, and others."""
        every = self._vectors.joined(vectors)
        rows = self._process.kernel(vectors, every)
        kernel = np.block([[self._kernel, rows[:, : len(self)].T], [rows]])
        return Observed(self._process, every, kernel)

    def predict(self, values: Floats, vectors: Vectors) -> tuple[Floats, Floats]:
        """Mean and variance, without noise, of other architectures' values, given the values of these."""
        across = self._process.kernel(vectors, self._vectors)
        solved = solve_triangular(self._factor, across.T, lower=True, check_finite=False)
        variance = self._process.variance(vectors) - (solved**2).sum(axis=0)
        return across @ cho_solve((self._factor, True), values), np.maximum(variance, 1e-10)

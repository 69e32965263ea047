"""A Gaussian process over architectures, whose kernel is fitted to what was observed."""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

from controllers.encoding import Compared, Encoding, Floats, Vectors

ADDITIVE, COUNTED, TRAITS, JOINT, ALIKE, NOISE, REACH, RATES = range(8)
"""Places of the hyper-parameters, logarithms all: five shares of variance, the noise's, and the rates at which the
joint effects fall, of traits and then of each decision."""
OFF = -13.0
JITTER = 1e-6
STEPS = 15
"""Of the optimizer, in a fit."""


class GaussianProcess:
    """Values of architectures as the sum of several effects.

    - Additive: each decision has its own effect (a linear kernel on equal options).
    - Counted: each option has its own effect, wherever it is chosen.
    - Joint: decisions act together; the kernel falls exponentially in a weighted Hamming distance, and how fast it
      falls with each decision is fitted ("Think Global and Act Local: Bayesian Optimisation over High-Dimensional
      Categorical and Mixed Search Spaces").
    - Traits: each has its own effect, and those of alike traits are alike, where the space has any.

    Hyper-parameters maximise the likelihood times a prior, from the same start in every fit.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        rates = np.full(encoding.decisions, 0.25 * min(1.0, 6 / max(encoding.decisions, 1)))
        self._prior = np.log(np.concatenate([[0.5, 0.3, 0.3, 0.5, 0.5, 1e-3, 0.5], rates]))
        self._spread = np.ones(len(self._prior))
        self._spread[NOISE] = 1.5
        self._bounds = [(OFF, 4.0)] * REACH + [(-8.0, 3.0)] * (1 + encoding.decisions)
        if not encoding.traits:
            for effect in (TRAITS, ALIKE):
                self._prior[effect], self._bounds[effect] = OFF, (OFF, OFF)
        self._settings = self._prior

    def fit(self, vectors: Vectors, values: Floats) -> None:
        """Find the hyper-parameters; values have mean 0 and deviation 1."""
        compared = self.encoding.compared(vectors, vectors)

        def cost(settings: Floats) -> tuple[float, Floats]:
            return self._cost(settings, vectors, values, compared)

        options = {"maxiter": STEPS}
        found = minimize(cost, self._prior, jac=True, method="L-BFGS-B", bounds=self._bounds, options=options)
        self._settings = found.x

    def kernel(self, left: Vectors, right: Vectors, compared: Compared | None = None) -> Floats:
        """The covariance of the values of architectures, `compared` if that is known: (len(left), len(right))."""
        compared = compared or self.encoding.compared(left, right)
        shares, reach, rates = self._exponents(self._settings)
        found = shares[JOINT] * np.exp(-self.encoding.distance(left, right, rates))
        if self.encoding.traits:
            found += shares[ALIKE] * np.exp(-reach * compared.apart)
        for share, matrix in zip(shares, compared.linear, strict=False):
            found += share * matrix
        return np.asarray(found)

    def variance(self, vectors: Vectors) -> Floats:
        """The kernel's diagonal."""
        shares, _, _ = self._exponents(self._settings)
        counted, straight = (vectors.counts**2).sum(axis=1), (vectors.traits**2).sum(axis=1)
        whole = shares[ADDITIVE] + shares[JOINT] + (shares[ALIKE] if self.encoding.traits else 0.0)
        return np.asarray(whole + shares[COUNTED] * counted + shares[TRAITS] * straight)

    @property
    def noise(self) -> float:
        """The variance of what no decision explains."""
        return float(np.exp(self._settings[NOISE])) + JITTER

    @staticmethod
    def _exponents(settings: Floats) -> tuple[Floats, float, Floats]:
        """Shares of variance, the rate of traits, the rates of decisions."""
        return np.exp(settings[:REACH]), float(np.exp(settings[REACH])), np.exp(settings[RATES:])

    def _cost(self, settings: Floats, vectors: Vectors, values: Floats, compared: Compared) -> tuple[float, Floats]:
        """The negative logarithm of likelihood times prior, and its gradient."""
        shares, reach, rates = self._exponents(settings)
        joint = shares[JOINT] * np.exp(-self.encoding.distance(vectors, vectors, rates))
        alike = shares[ALIKE] * np.exp(-reach * compared.apart)
        effects = [*(share * matrix for share, matrix in zip(shares, compared.linear, strict=False)), joint, alike]
        kernel = np.sum(effects, axis=0)
        kernel[np.diag_indices_from(kernel)] += shares[NOISE] + JITTER
        factor = np.linalg.cholesky(kernel)
        inverse = cho_solve((factor, True), np.eye(len(values)))
        weights = inverse @ values
        away = (settings - self._prior) / self._spread
        cost = 0.5 * values @ weights + np.log(np.diag(factor)).sum() + 0.5 * away @ away
        outer = 0.5 * (inverse - np.outer(weights, weights))
        slope = np.empty_like(settings)
        slope[:NOISE] = [(outer * effect).sum() for effect in effects]
        slope[NOISE] = shares[NOISE] * np.trace(outer)
        slope[REACH] = -reach * (outer * alike * compared.apart).sum()
        slope[RATES:] = -rates * self.encoding.gradient(vectors, outer * joint)
        return float(cost), slope + away / self._spread


class Observed:
    """Architectures of which values are known, and how they hang together under a process for each kind of value."""

    def __init__(
        self, processes: Sequence[GaussianProcess], vectors: Vectors, kernels: Sequence[Floats] | None = None
    ) -> None:
        self._processes, self._vectors = processes, vectors
        self._kernels = kernels or self._across(vectors, vectors)
        noisy = [
            kernel + one.noise * np.eye(len(vectors)) for one, kernel in zip(processes, self._kernels, strict=True)
        ]
        self._factors = [np.linalg.cholesky(kernel) for kernel in noisy]

    def __len__(self) -> int:
        return len(self._vectors)

    def joined(self, vectors: Vectors) -> "Observed":
        """These architectures, and others."""
        every = self._vectors.joined(vectors)
        kernels = [
            np.block([[known, rows[:, : len(self)].T], [rows]])
            for known, rows in zip(self._kernels, self._across(vectors, every), strict=True)
        ]
        return Observed(self._processes, every, kernels)

    def predict(self, values: Floats, vectors: Vectors) -> tuple[Floats, Floats]:
        """Means and variances, without noise, of other architectures' values: (processes, len(vectors)) each.

        `values` are those of the known architectures: (processes, len(self)).
        """
        means, variances = [], []
        across = self._across(vectors, self._vectors)
        for process, factor, rows, known in zip(self._processes, self._factors, across, values, strict=True):
            solved = solve_triangular(factor, rows.T, lower=True, check_finite=False)
            means.append(rows @ cho_solve((factor, True), known))
            variances.append(process.variance(vectors) - (solved**2).sum(axis=0))
        return np.array(means), np.maximum(variances, 1e-10)

    def _across(self, left: Vectors, right: Vectors) -> list[Floats]:
        """Each process's kernel; what they have in common is worked out once."""
        compared = self._processes[0].encoding.compared(left, right)
        return [process.kernel(left, right, compared) for process in self._processes]

"""A Gaussian process over architectures: its kernel, how that is fitted, and what it says of candidates."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from controllers.encoding import BinaryEncoding, Floats, Vectors

DECAY, DECAY_SPREAD = 4.0, 1.0
"""Prior of the decay: its sum over all components (geometric mean), and the spread of each one's logarithm."""
LINEAR, LINEAR_SPREAD = 0.5, 1.5
NOISE, NOISE_SPREAD = 0.02, 1.5
VARIANCE_WEIGHT = 2.0
"""How many observations the prior belief counts that targets have unit variance."""
JITTER = 1e-6
FIT_ROWS, FIT_SIZE = 200, 2_000_000
"""Observations, and numbers in the table of their distances, that a fit may use; the rest is left out of it."""


@dataclass(frozen=True)
class Kernel:
    """An additive term per component and one that decays with the weighted Hamming distance, plus noise.

    k(x, y) = exp(-sum_j decay_j d_j(x, y)) + sum_j linear_j (1 - d_j(x, y)), in units of the process' variance.
    """

    encoding: BinaryEncoding
    decay: Floats
    linear: Floats
    noise: float

    @property
    def variance(self) -> float:
        """k(x, x), without noise."""
        return float(1 + self.linear.sum())

    def __call__(self, left: Vectors, right: Vectors) -> npt.NDArray[Any]:
        """The covariances of noise-free values: (len(left), len(right))."""
        far = self.encoding.distance(left, right, self.decay)
        near = float(self.linear.sum()) - self.encoding.distance(left, right, self.linear)
        return np.exp(-far) + near


def fit(encoding: BinaryEncoding, vectors: Vectors, targets: Floats, iterations: int = 30) -> Kernel:
    """The kernel of highest posterior probability, the mean and variance of the process being integrated as fitted.

    `vectors` is (n, columns), `targets` (n). Priors are log-normal, so that few observations give a sensible kernel.
    """
    size = encoding.components
    most = max(20, min(FIT_ROWS, int((FIT_SIZE / max(size, 1)) ** 0.5)))
    chosen = np.unique(np.linspace(0, len(targets) - 1, min(len(targets), most)).astype(int))
    distances = encoding.distances(vectors[chosen]).reshape(size, -1)
    centre = np.log([DECAY / size] * size + [LINEAR / size] * size + [NOISE])
    spread = np.array([DECAY_SPREAD] * size + [LINEAR_SPREAD] * size + [NOISE_SPREAD])

    def loss(logs: Floats) -> tuple[float, Floats]:
        value, gradient = negative_log_likelihood(logs, distances, targets[chosen])
        away = (logs - centre) / spread
        return value + 0.5 * float(away @ away), gradient + away / spread

    bounds = [(c - 4 * s, c + 4 * s) for c, s in zip(centre[:-1], spread[:-1], strict=True)]
    found = minimize(
        loss,
        centre,
        jac=True,
        method="L-BFGS-B",
        bounds=[*bounds, (np.log(1e-4), 0.0)],
        options={"maxiter": iterations},
    )
    values = np.exp(found.x)
    return Kernel(encoding, values[:size], values[size:-1], float(values[-1]))


def negative_log_likelihood(logs: Floats, distances: Floats, targets: Floats) -> tuple[float, Floats]:
    """Of the logarithms of decay, linear weights and noise, given the components' distances (components, n * n).

    The mean is the generalised least-squares one, the variance the most likely. Returns the value and its gradient.
    """
    size, n = len(distances), len(targets)
    decay, linear, noise = np.exp(logs[:size]), np.exp(logs[size:-1]), np.exp(logs[-1])
    decayed = np.exp(-(decay @ distances))
    covariance = (decayed + linear.sum() - linear @ distances).reshape(n, n)
    covariance[np.diag_indices(n)] += noise + JITTER
    factor = cho_factor(covariance, lower=True)
    inverse = cho_solve(factor, np.eye(n))
    rows = inverse.sum(axis=1)
    residual = targets - (rows @ targets) / rows.sum()
    solved = inverse @ residual
    variance = (residual @ solved + VARIANCE_WEIGHT) / (n + VARIANCE_WEIGHT)
    value = 0.5 * (n + VARIANCE_WEIGHT) * np.log(variance) + np.log(np.diag(factor[0])).sum()
    weights = (inverse - np.outer(solved, solved) / variance).ravel()
    gradient = np.concatenate(
        [
            -0.5 * decay * (distances @ (weights * decayed)),
            0.5 * linear * (weights.sum() - distances @ weights),
            [0.5 * noise * weights[:: n + 1].sum()],
        ]
    )
    return float(value), gradient


def log_likelihood(kernel: Kernel, vectors: Vectors, targets: Floats) -> float:
    """Of the targets under a kernel, the process' mean and variance being the most likely ones."""
    process = GaussianProcess(kernel, vectors, targets)
    _, _, variance = process.solution()
    half = 0.5 * (len(targets) + VARIANCE_WEIGHT) * float(np.log(variance))
    return -half - float(np.log(np.diag(process.factor)).sum())


class GaussianProcess:
    """A Gaussian process with its observations; more can be appended, and the last ones taken back.

    Rows appended without a target (candidates under way) lower the variance around them, and leave the mean.
    """

    def __init__(self, kernel: Kernel, vectors: Vectors, targets: Floats) -> None:
        self.kernel = kernel
        self.vectors = vectors
        self.targets = targets
        covariance = kernel(vectors, vectors).astype(np.float64)
        covariance[np.diag_indices(len(targets))] += kernel.noise + JITTER
        self.factor: Floats = cholesky(covariance, lower=True)

    def __len__(self) -> int:
        return len(self.factor)

    def append(self, vector: Vectors, target: float | None = None) -> None:
        """Take in a row, (columns); those without a target come last."""
        n = len(self)
        across = self.kernel(self.vectors, vector[None])[:, 0].astype(np.float64)
        row = solve_triangular(self.factor, across, lower=True)
        grown = np.zeros((n + 1, n + 1))
        grown[:n, :n] = self.factor
        grown[n, :n] = row
        grown[n, n] = max(self.kernel.variance + self.kernel.noise + JITTER - row @ row, JITTER) ** 0.5
        self.factor = grown
        self.vectors = np.concatenate([self.vectors, vector[None]])
        if target is not None:
            self.targets = np.append(self.targets, target)

    def forget_pending(self) -> None:
        """Take the rows without targets back."""
        n = len(self.targets)
        self.factor = self.factor[:n, :n]
        self.vectors = self.vectors[:n]

    def solution(self) -> tuple[float, Floats, float]:
        """The mean, what the targets are beyond it in the factor's coordinates (n), and the variance."""
        n = len(self.targets)
        both = np.stack([np.ones(n), self.targets], axis=1)
        ones, targets = solve_triangular(self.factor[:n, :n], both, lower=True).T
        mean = float(ones @ targets / (ones @ ones))
        beyond = targets - mean * ones
        return mean, beyond, float((beyond @ beyond + VARIANCE_WEIGHT) / (n + VARIANCE_WEIGHT))


class Posterior:
    """What a process says of a fixed set of candidates, kept up to date at the cost of one row per observation."""

    def __init__(self, process: GaussianProcess, candidates: Vectors) -> None:
        self._process = process
        self._candidates = candidates
        n = len(process)
        across = process.kernel(process.vectors, candidates)
        self._rows: Vectors = np.empty((n + 32, len(candidates)), dtype=np.float32)
        self._rows[:n] = solve_triangular(process.factor.astype(np.float32), across, lower=True)
        self._count = n
        self._explained: Vectors = np.einsum("ij,ij->j", self._rows[:n], self._rows[:n])

    def extend(self) -> None:
        """Take in the rows that the process has got since, which must have targets."""
        for index in range(self._count, len(self._process)):
            row = self._row(index)
            self._explained += row * row
        self._count = len(self._process)

    def predict(self) -> tuple[Floats, Floats]:
        """Mean and variance of each candidate's next observation, noise included, pending rows taken into account."""
        explained = self._explained
        for index in range(self._count, len(self._process)):
            row = self._row(index)
            explained = explained + row * row
        mean, beyond, variance = self._process.solution()
        means = mean + beyond.astype(np.float32) @ self._rows[: len(beyond)]
        kernel = self._process.kernel
        left = np.maximum(kernel.variance - explained, 0) + kernel.noise
        return means.astype(np.float64), variance * left.astype(np.float64)

    def _row(self, index: int) -> Vectors:
        """The candidates' row number `index` of the factor that the process would have with them."""
        process = self._process
        if index == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows[: max(32, index // 4)])])
        factor = process.factor[index].astype(np.float32)
        across = process.kernel(process.vectors[index : index + 1], self._candidates)[0]
        self._rows[index] = (across - factor[:index] @ self._rows[:index]) / factor[index]
        return self._rows[index]

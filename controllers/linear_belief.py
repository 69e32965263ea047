"""A Bayesian linear model: what a few results say of every other candidate, and how sure that is."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
NOISES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Shares of noise among which one is chosen, by the likelihood of what was told."""


class LinearBelief:
    """Weights of features that are normal before anything is told; their scale and the noise follow from the values.

    The model is that of "Pattern Recognition and Machine Learning", section 3.3.
    """

    def __init__(self, told: Floats, values: Floats) -> None:
        """`told` are features, (n, features), and `values` what they came to, (n,); n is 1 or more."""
        self._centre = told.mean(axis=0)
        features = told - self._centre
        # So that what is told has a distance of about 1 from its centre, and noise is a share of that.
        self._unit = float(np.sqrt((features**2).sum(axis=1).mean())) or 1.0
        self._features = features / self._unit
        self._mean = float(values.mean())
        self._values = values - self._mean
        spectrum, self._axes = np.linalg.eigh(self._features @ self._features.T)
        along = (self._axes.T @ self._values) ** 2
        spectra = np.maximum(spectrum, 0.0)[None, :] + np.array(NOISES)[:, None]
        scales = np.maximum((along / spectra).mean(axis=1), 1e-12)
        likely = -len(values) * np.log(scales) - np.log(spectra).sum(axis=1)
        best = int(likely.argmax())
        self._noise, self._scale, self._spectrum = NOISES[best], float(scales[best]), spectra[best]

    def predict(self, asked: Floats) -> tuple[Floats, Floats]:
        """The mean and the variance, with the noise, of the values at features `asked`, (m, features)."""
        features = (asked - self._centre) / self._unit
        across = features @ self._features.T @ self._axes
        mean = self._mean + (across / self._spectrum) @ (self._axes.T @ self._values)
        known = (across**2 / self._spectrum).sum(axis=1)
        return mean, self._scale * (np.maximum((features**2).sum(axis=1) - known, 0.0) + self._noise)

    def drawn(self, draws: np.random.Generator) -> Floats:
        """The weights of one function that may well be the true one, (features,): for Thompson sampling."""
        weights = draws.standard_normal(self._features.shape[1]) * self._scale**0.5
        noise = draws.standard_normal(len(self._values)) * (self._scale * self._noise) ** 0.5
        rest = self._axes.T @ (self._values - self._features @ weights - noise)
        found = weights + self._features.T @ (self._axes @ (rest / self._spectrum))
        return np.asarray(found / self._unit)

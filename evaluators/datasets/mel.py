"""Log-mel spectrograms of waveforms, by operations that an export can carry along."""

from math import log
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from archfront.contracts import WrongUse
from evaluators.datasets.arrays import Array
from evaluators.datasets.preparation import Preparation

Scale = Literal["htk", "slaney"]
FLOOR = 1e-6
"""Added to a band's power before the logarithm: about that of rounding to 16 bits."""
LONGEST = 8
"""No Fourier transform is longer than so many windows, however narrow the bands."""
BATCH = 256


class LogMel(Preparation):
    """Waveforms (batch, samples) as log-mel spectrograms (batch, 1, bands, frames), standardized per band.

    Frames of `window` samples, `hop` apart, none beyond the ends, under Hann's window; their power spectrum is a
    convolution with the cosines and sines of a discrete Fourier transform, which is long enough for every mel band to
    cover a frequency. int16 samples are divided by 32,768.
    """

    waves: Tensor
    filters: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        rate: int,
        window: int,
        hop: int,
        bands: int,
        mean: Any = 0.0,
        std: Any = 1.0,
        scale: Scale = "htk",
        divisor: float = 1.0,
    ) -> None:
        super().__init__()
        self.rate, self.window, self.hop, self.bands = rate, window, hop, bands
        self.scale, self.divisor = scale, divisor
        self.length = 1 << (window - 1).bit_length()
        while not (filters := mel_filters(rate, self.length, bands, scale)).any(1).all():
            self.length *= 2
            if self.length > LONGEST * window:
                raise WrongUse(f"bands={bands} are too narrow for windows of {window} samples; take fewer bands")
        self.register_buffer("filters", torch.from_numpy(filters).float())
        self.register_buffer("waves", torch.from_numpy(fourier_waves(window, self.length)).float().unsqueeze(1))
        self.register_buffer("mean", torch.as_tensor(np.broadcast_to(mean, bands).copy(), dtype=torch.float32))
        self.register_buffer("std", torch.as_tensor(np.broadcast_to(std, bands).copy(), dtype=torch.float32))

    def log_powers(self, x: Tensor) -> Tensor:
        """The natural logarithm of the bands' powers, (batch, bands, frames), not yet standardized."""
        samples = (x.float() / self.divisor).unsqueeze(1)
        real, imaginary = functional.conv1d(samples, self.waves.to(x.device), stride=self.hop).chunk(2, 1)
        power = real * real + imaginary * imaginary
        return (torch.matmul(self.filters.to(x.device), power) + FLOOR).log()

    def forward(self, x: Tensor) -> Tensor:
        mean, std = self.mean.to(x.device).view(-1, 1), self.std.to(x.device).view(-1, 1)
        return ((self.log_powers(x) - mean) / std).unsqueeze(1)

    def describe(self) -> str:
        return (
            f"log-mel spectrogram of samples / {self.divisor:g} at {self.rate} Hz: Hann windows of {self.window} "
            f"samples, {self.hop} apart, {self.length}-point Fourier transform, {self.bands} {self.scale} mel bands, "
            f"ln(power + {FLOOR:g}), then (x - mean) / std per band"
        )


def fitted_log_mel(train: Array, rate: int, window: int, hop: int, bands: int, scale: Scale = "htk") -> LogMel:
    """The preparation with mean and deviation per band of the raw training waveforms."""
    divisor = 32768.0 if train.dtype == np.int16 else 1.0
    raw = LogMel(rate, window, hop, bands, scale=scale, divisor=divisor)
    count, total, squares = 0, torch.zeros(bands, dtype=torch.float64), torch.zeros(bands, dtype=torch.float64)
    for start in range(0, len(train), BATCH):
        values = raw.log_powers(torch.from_numpy(np.ascontiguousarray(train[start : start + BATCH]))).double()
        count += values.shape[0] * values.shape[2]
        total += values.sum((0, 2))
        squares += (values * values).sum((0, 2))
    mean = total / count
    std = (squares / count - mean * mean).clamp(min=1e-6).sqrt()
    return LogMel(rate, window, hop, bands, mean.numpy(), std.numpy(), scale, divisor)


def fourier_waves(window: int, length: int) -> Array:
    """The cosines, then the sines, of a discrete Fourier transform under Hann's window, (2 (length/2 + 1), window)."""
    samples = np.arange(window)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * samples / window)
    angles = 2 * np.pi * np.outer(np.arange(length // 2 + 1), samples) / length
    return np.concatenate([np.cos(angles), -np.sin(angles)]) * hann


def mel_filters(rate: int, length: int, bands: int, scale: Scale = "htk") -> Array:
    """Triangles in mel from 0 to half the rate, (bands, length/2 + 1).

    "htk" has them of height 1, on O'Shaughnessy's scale 2595 log10(1 + f/700); "slaney" of area 1, on the scale of
    Slaney's Auditory Toolbox, linear below 1 kHz and logarithmic above.
    """
    if scale not in ("htk", "slaney"):
        raise WrongUse(f"a mel scale is 'htk' or 'slaney', not '{scale}'")
    frequencies = np.arange(length // 2 + 1) * (rate / length)
    edges = _hertz(np.linspace(0, _mel(rate / 2, scale), bands + 2), scale)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((frequencies - low) / (middle - low), (high - frequencies) / (high - middle)).clip(min=0)
    return triangles * (2 / (high - low)) if scale == "slaney" else triangles


def _mel(hertz: float, scale: Scale) -> float:
    if scale == "htk":
        return 2595 * float(np.log10(1 + hertz / 700))
    return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * log(hertz / 1000) / log(6.4)


def _hertz(mel: Array, scale: Scale) -> Array:
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    return np.where(mel < 15, 200 * mel / 3, 1000 * np.exp(log(6.4) / 27 * (mel - 15)))

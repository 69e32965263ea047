"""Positions as sines and cosines."""

from math import cos, sin

import torch

from search_spaces.blocks import SinusoidalEncoding
from search_spaces.testing import PartConformance


class TestSinusoidalEncoding(PartConformance):
    cases = [(SinusoidalEncoding(), (16, 9)), (SinusoidalEncoding(scale=0.02), (15, 4))]
    refused = [(SinusoidalEncoding(), (16, 8, 8))]
    wrong = [(lambda: SinusoidalEncoding(scale=0), "sinusoidal.scale")]

    def reference(self, part, site, module, x):
        """PE(t, 2i) = sin(t / 10000^(2i/C)), PE(t, 2i + 1) = cos of the same, as printed."""
        channels, length = site.shape
        waves = torch.zeros(channels, length, dtype=x.dtype)
        for channel in range(channels):
            for t in range(length):
                angle = t / 10000 ** (channel // 2 * 2 / channels)
                waves[channel, t] = cos(angle) if channel % 2 else sin(angle)
        # The waves are held in single precision.
        assert (module.waves - part.scale * waves).abs().max() < 1e-6
        return x + module.waves

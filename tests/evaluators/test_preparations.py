"""Preparations: each against an independent formula, and exported to ONNX, where it runs on raw inputs."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from archfront.contracts import WrongUse
from evaluators.datasets.columns import Columns, standardized_columns
from evaluators.datasets.mel import FLOOR, LogMel, fitted_log_mel, mel_filters
from evaluators.datasets.preparation import Ids, Normalization, Preparation


def waveforms(n: int = 5, samples: int = 3000) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    tones = np.sin(np.arange(samples) * rng.uniform(0.05, 2, (n, 1)))
    return np.rint((tones * 0.5 + rng.normal(0, 0.1, (n, samples))) * 20000).clip(-32768, 32767).astype(np.int16)


def table() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    rows = rng.normal(5, 3, (40, 4)).astype(np.float32)
    rows[:, 1] = rng.integers(0, 3, 40)
    rows[::7, 2] = np.nan
    rows[:, 3] = 4.2
    return rows


def hertz_of_htk(mel: float) -> float:
    return 700 * (10 ** (mel / 2595) - 1)


@pytest.mark.parametrize(("window", "hop", "bands"), [(256, 128, 32), (200, 80, 40), (400, 160, 20)])
def test_the_power_spectrum_is_that_of_torch(window: int, hop: int, bands: int) -> None:
    raw = torch.from_numpy(waveforms())
    module = LogMel(8000, window, hop, bands, divisor=32768.0)
    assert module.length >= window
    # torch centres a short window in a longer transform; there the samples before it count for nothing.
    before, after = (module.length - window) // 2, module.length - window - (module.length - window) // 2
    padded = torch.nn.functional.pad(raw.double() / 32768, (before, after))
    spectrum = torch.stft(
        padded,
        module.length,
        hop,
        window,
        torch.hann_window(window, dtype=torch.float64),
        center=False,
        return_complex=True,
    )
    wanted = (torch.from_numpy(mel_filters(8000, module.length, bands)) @ spectrum.abs().square() + FLOOR).log()
    found = module.log_powers(raw)
    assert found.shape == wanted.shape == (5, bands, 1 + (3000 - window) // hop)
    assert torch.allclose(found.double(), wanted, atol=2e-3)


def test_mel_filters_of_htk_are_triangles_between_evenly_spaced_mels() -> None:
    filters = mel_filters(16000, 512, 20)
    top = 2595 * np.log10(1 + 8000 / 700)
    edges = [hertz_of_htk(top * i / 21) for i in range(22)]
    for band in range(20):
        for place in range(257):
            hertz = place * 16000 / 512
            low, middle, high = edges[band : band + 3]
            wanted = max(0.0, (hertz - low) / (middle - low) if hertz <= middle else (high - hertz) / (high - middle))
            assert filters[band, place] == pytest.approx(wanted, abs=1e-9)


def test_mel_filters_of_slaney_have_an_area_of_one_and_are_even_below_1_kilohertz() -> None:
    filters = mel_filters(16000, 8192, 40, "slaney")
    assert np.allclose(filters.sum(1) * 16000 / 8192, 1, atol=0.02)
    centres = filters.argmax(1) * 16000 / 8192
    low, high = centres[centres < 900], centres[centres > 1200]
    assert np.allclose(np.diff(low), np.diff(low).mean(), rtol=0.06)
    assert np.allclose(np.diff(np.log(high)), np.diff(np.log(high)).mean(), rtol=0.06)


def test_every_band_hears_something() -> None:
    for rate, window, bands in ((8000, 64, 40), (16000, 100, 80)):
        module = LogMel(rate, window, 32, bands)
        assert module.length > window and bool(module.filters.any(1).all())
    with pytest.raises(WrongUse, match="bands=4000 are too narrow"):
        LogMel(8000, 64, 32, 4000)


def test_spectrograms_are_standardized_by_band() -> None:
    raw = waveforms(600, 1000)
    module = fitted_log_mel(raw, 8000, 256, 128, 16)
    found = module(torch.from_numpy(raw))
    assert found.shape == (600, 1, 16, 6)
    assert torch.allclose(found.mean((0, 1, 3)), torch.zeros(16), atol=1e-3)
    assert torch.allclose(found.std((0, 1, 3)), torch.ones(16), atol=1e-2)
    floats = fitted_log_mel((raw / 32768).astype(np.float32), 8000, 256, 128, 16)
    assert torch.allclose(floats(torch.from_numpy(raw / 32768).float()), found, atol=1e-4)
    assert "256 samples, 128 apart" in module.describe()


def test_columns_are_standardized_filled_and_told_apart() -> None:
    raw = table()
    found = standardized_columns(raw, {1: 3})(torch.from_numpy(raw))
    assert found.shape == (40, 3 + 1 + 3) and not found.isnan().any()
    assert torch.allclose(found[:, 0], torch.from_numpy((raw[:, 0] - raw[:, 0].mean()) / raw[:, 0].std()), atol=1e-5)
    there = ~np.isnan(raw[:, 2])
    wanted = (raw[there, 2] - raw[there, 2].mean()) / raw[there, 2].std()
    assert torch.allclose(found[torch.from_numpy(there), 1], torch.from_numpy(wanted), atol=1e-5)
    assert not found[~torch.from_numpy(there), 1].any() and not found[:, 2].any()
    assert np.array_equal(found[:, 3], ~there)
    assert np.array_equal(found[:, 4:], np.eye(3)[raw[:, 1].astype(int)])


def test_what_training_rows_never_had_is_zero() -> None:
    module = standardized_columns(table(), {1: 3})
    row = torch.tensor([[np.nan, np.nan, 5.0, 4.2], [5.0, 7.0, 5.0, 4.2]])
    found = module(row)
    assert found[0, 0] == 0 and not found[:, 4:].any() and found.isfinite().all()


def preparations() -> list[tuple[Preparation, Tensor]]:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (5, 3, 6, 6), dtype=np.uint8))
    ids = torch.from_numpy(rng.integers(0, 250, (5, 9), dtype=np.uint8))
    numbers = table()[:, [0, 3]]
    return [
        (Normalization([0.5, 0.4, 0.3], [0.2, 0.2, 0.1], 255.0), images),
        (Ids(), ids),
        (Ids(), ids.int()),
        (fitted_log_mel(waveforms(), 8000, 256, 128, 32), torch.from_numpy(waveforms())),
        (fitted_log_mel(waveforms(), 8000, 200, 80, 24, "slaney"), torch.from_numpy(waveforms())),
        (standardized_columns(table(), {1: 3}), torch.from_numpy(table()[:5])),
        (standardized_columns(numbers), torch.from_numpy(numbers[:5])),
        (Columns([], [], [], [], {0: 2, 1: 4}), torch.from_numpy(rng.integers(0, 4, (5, 2)).astype(np.float32))),
    ]


@pytest.mark.parametrize(("module", "raw"), preparations(), ids=lambda value: type(value).__name__)
def test_onnx_runs_on_raw_inputs(module: Preparation, raw: Tensor, tmp_path: Path) -> None:
    file = tmp_path / "preparation.onnx"
    batch = torch.export.Dim("batch", min=1, max=64)
    torch.onnx.export(module.eval(), (raw[:2],), file, dynamo=True, dynamic_shapes=({0: batch},), verbose=False)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for size in (1, 5):
        found = session.run(None, {session.get_inputs()[0].name: raw[:size].numpy()})[0]
        wanted = module(raw[:size]).numpy()
        assert found.dtype == wanted.dtype and found.shape == wanted.shape
        assert np.allclose(found, wanted, atol=2e-4)

"""Recordings: folders of .wav files, archives of waveforms, and what is wrong with them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from archfront.contracts import WrongUse
from evaluators.datasets import describe, load
from evaluators.tasks import Classification

RATE = 8000


def tone(hertz: float, seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray[Any, Any]:
    """A tone with noise, int16."""
    times = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(0, 300, len(times))
    return np.rint(8000 * np.sin(2 * np.pi * hertz * times) + noise).astype(np.int16)


def folder(root: Path, rate: int = RATE, n: int = 6) -> Path:
    for name, hertz in (("high", 2000.0), ("low", 300.0)):
        (root / name).mkdir(parents=True)
        for i in range(n):
            wavfile.write(root / name / f"{i}.wav", rate, tone(hertz, 0.2 + 0.01 * i, rate, seed=i))
    return root


def archive(path: Path, **changes: Any) -> str:
    clips = [tone(400.0 * (1 + i % 2), 0.1 + 0.01 * (i % 4), seed=i) for i in range(24)]
    arrays: dict[str, Any] = {
        "samples": np.concatenate(clips),
        "offsets": np.cumsum([0, *map(len, clips)]),
        "labels": np.arange(24) % 2,
        "is_test": np.arange(24) >= 18,
        "sample_rate": np.int32(RATE),
    }
    np.savez(path, **{key: value for key, value in (arrays | changes).items() if value is not None})
    return f"audio:{path}"


def test_spoken_digits(shared_data: Path) -> None:
    data = load(f"audio:{shared_data / 'images' / 'fsdd_waveforms_int16.npz'}")
    assert isinstance(data.task, Classification) and data.outputs == 10
    assert data.inputs[:2] == (1, 32) and data.medium == "spectrograms" and data.space == "audio"
    assert (data.train.size, data.validation.size, data.test.size) == (1440, 360, 200)
    assert data.train.inputs.dtype == torch.int16 and data.train.inputs.shape[1] == data.train.inputs[:1].numel()
    prepared = data.prepared(data.test.inputs[:])
    assert prepared.shape == (200, *data.inputs) and abs(float(prepared.mean())) < 0.1
    said = describe(data)
    assert "32 mel bands" in said and "training clips are longer than" in said
    short = load(f"audio:{shared_data / 'images' / 'fsdd_waveforms_int16.npz'}", seconds=0.25, bands=20, hop=0.01)
    assert short.inputs == (1, 20, 1 + (2000 - 256) // 80)


def test_a_folder_of_recordings(tmp_path: Path) -> None:
    data = load(f"audio:{folder(tmp_path)}", seconds=0.2)
    assert data.classes == ("high", "low") and data.train.inputs.shape[1] == 1600
    prepared = data.prepared(data.train.inputs[:])
    bands = data.preparation.log_powers(data.train.inputs[:]).mean(2).argmax(1)
    assert prepared.shape[1:] == data.inputs
    high, low = bands[data.train.targets == 0].float().mean(), bands[data.train.targets == 1].float().mean()
    assert high > low + 8


def test_clips_are_padded_evenly_and_cropped_in_the_middle(tmp_path: Path) -> None:
    clips = np.array([[0] * 300 + [7] * 400 + [0] * 300] * 12, dtype=np.int16)
    np.savez(tmp_path / "x.npz", x_train=clips, y_train=np.arange(12) % 2, x_test=clips, y_test=np.arange(12) % 2)
    cropped = load(f"audio:{tmp_path / 'x.npz'}", rate=RATE, seconds=0.05)
    assert (cropped.train.inputs[:] == 7).all() and cropped.train.inputs.shape[1] == 400
    padded = load(f"audio:{tmp_path / 'x.npz'}", rate=RATE, seconds=0.2)
    assert (padded.train.inputs[:][:, 600:1000] == 7).all() and int((padded.train.inputs[0] != 0).sum()) == 400
    assert load(f"audio:{tmp_path / 'x.npz'}", rate=RATE).train.inputs.shape[1] == 1000


@pytest.mark.parametrize("kind", ["uint8", "int32", "float32", "stereo"])
def test_samples_of_any_type_become_the_same(tmp_path: Path, kind: str) -> None:
    folder(tmp_path / "a")
    folder(tmp_path / "b")
    for path in (tmp_path / "b").rglob("*.wav"):
        wave = wavfile.read(path)[1].astype(np.float64) / 32768
        made = {
            "uint8": np.rint(wave * 128 + 128).astype(np.uint8),
            "int32": np.rint(wave * 2**31).astype(np.int32),
            "float32": wave.astype(np.float32),
            "stereo": np.rint(np.stack([wave * 1.5, wave * 0.5], 1) * 32768).astype(np.int16),
        }[kind]
        wavfile.write(path, RATE, made)
    first, second = (load(f"audio:{tmp_path / name}", seconds=0.2) for name in ("a", "b"))
    apart = (first.train.inputs[:].int() - second.train.inputs[:].int()).abs().max()
    assert apart <= (130 if kind == "uint8" else 1)


def test_other_rates_are_refused_or_resampled(tmp_path: Path) -> None:
    folder(tmp_path)
    wavfile.write(tmp_path / "low" / "5.wav", 16000, tone(300.0, 0.2, 16000))
    with pytest.raises(WrongUse, match=r"several rates \(8000, 16000 Hz\).*--set data.rate="):
        load(f"audio:{tmp_path}")
    data = load(f"audio:{tmp_path}", rate=RATE, seconds=0.2)
    every = torch.cat([split.inputs[:] for split in (data.train, data.validation, data.test)])
    found = torch.fft.rfft(every.double()).abs().argmax(1) / 0.2
    assert ((found - 300).abs() < 10).sum() == 6 and ((found - 2000).abs() < 10).sum() == 6


def test_unreadable_and_empty_recordings_are_counted_and_named(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "low" / "broken.wav").write_bytes(b"RIFF no recording")
    (tmp_path / "low" / "void.wav").write_bytes(b"")
    wavfile.write(tmp_path / "high" / "empty.wav", RATE, np.zeros(0, np.int16))
    with pytest.raises(WrongUse, match=r"3 of 15 files are empty or can't be read.*high/empty.wav.*skip_unreadable"):
        load(f"audio:{tmp_path}")
    data = load(f"audio:{tmp_path}", skip_unreadable=True)
    assert data.train.size + data.validation.size + data.test.size == 12
    assert "they are left out" in describe(data)


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"sample_rate": None}, {}, "doesn't say its rate"),
        ({"labels": None}, {}, "not both of offsets and labels"),
        ({"labels": np.arange(20) % 2}, {}, "24 clips, but 20 labels"),
        ({"labels": np.linspace(0, 1, 24)}, {}, "labels must be integers"),
        ({"labels": np.where(np.arange(24) < 18, np.arange(24) % 2, 5)}, {}, "labels that train has not, as 5"),
        ({"labels": np.zeros(24, np.int64)}, {}, "one class only"),
        ({"offsets": np.arange(25) * 9000}, {}, "offsets must rise"),
        ({"offsets": np.r_[0, 0, np.arange(1, 24) * 800]}, {}, "1 of the train clips are empty"),
        ({"samples": np.full(30000, np.nan)}, {}, "samples that aren't finite"),
        ({"samples": np.zeros(30000, np.int64)}, {}, "samples of type int64"),
        ({}, {"seconds": 0.01}, "shorter than a window"),
        ({}, {"bands": 0}, "must be above 0"),
        ({}, {"bands": 2000}, "bands=2000 are too narrow"),
        ({}, {"scale": "bark"}, "'htk' or 'slaney', not 'bark'"),
    ],
)
def test_wrong_archives_are_one_line(
    tmp_path: Path, changes: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(WrongUse, match=message) as raised:
        load(archive(tmp_path / "x.npz", **changes), **settings)
    assert "\n" not in str(raised.value)


def test_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(WrongUse, match=r"one class only \(a\)"):
        load(f"audio:{tmp_path}")
    (tmp_path / "b").mkdir()
    with pytest.raises(WrongUse, match=r"a holds no recordings \(.wav\)"):
        load(f"audio:{tmp_path}")

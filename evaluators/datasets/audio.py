"""Recordings, one class each: .wav files in a folder per class, or a NumPy archive of waveforms."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np

from archfront.contracts import WrongUse
from evaluators.datasets.archive import archive_of, names_of, pair_of
from evaluators.datasets.arrays import DATASETS, Array, Arrays
from evaluators.datasets.class_files import SPLITS, Files, class_files, named
from evaluators.datasets.mel import LogMel, Scale, fitted_log_mel
from evaluators.tasks import Classification

LONG = 0.95
"""Clips get the length that so many of them have at most, unless `seconds` says otherwise."""


@dataclass(frozen=True)
class Clips:
    """Recordings of any length, each with its label."""

    waves: list[Array]
    labels: Array


@DATASETS.register("audio")
def audio(
    argument: str,
    seconds: float = 0.0,
    bands: int = 32,
    window: float = 0.032,
    hop: float = 0.016,
    rate: int = 0,
    scale: Scale = "htk",
    skip_unreadable: bool = False,
) -> Arrays:
    """`audio:FOLDER`: a sub-folder of .wav files per class, maybe below train, val and test; or `audio:FILE.npz`.

    The archive holds `samples`, `offsets` (clip i is samples[offsets[i]:offsets[i+1]]) and `labels`, maybe `is_test`
    and `sample_rate`; or x_train, y_train and the other splits, waveforms (n, samples). Clips are padded evenly, or
    cropped in the middle, to `seconds` (that of 95 % of the training clips, unless said), and seen as spectrograms of
    `bands` mel bands in frames of `window` seconds, `hop` seconds apart. `rate` is that of an archive that doesn't say
    it; recordings that have another one are resampled to it.
    """
    path = Path(argument).expanduser()
    if path.is_dir():
        splits, classes, found_rate, problems = _of_folder(path, rate, skip_unreadable)
    else:
        splits, classes, found_rate = _of_archive(argument, rate)
        problems = ()
    if min(bands, window, hop) <= 0 or seconds < 0:
        raise WrongUse(f"{argument}: bands, window and hop must be above 0, and seconds none below")
    lengths = np.array([len(wave) for wave in splits["train"].waves])
    length = round(seconds * found_rate) or int(np.quantile(lengths, LONG, method="higher"))
    frame = round(window * found_rate)
    if length < frame:
        raise WrongUse(f"{argument}: clips of {length} samples are shorter than a window of {frame}; lower data.window")
    cropped = int((lengths > length).sum())
    if cropped:
        said = f"{cropped} of {len(lengths)} training clips are longer than {length / found_rate:.2f} s and are cropped"
        problems = (*problems, said)
    arrays = {split: (_fitted(clips.waves, length), clips.labels) for split, clips in splits.items()}
    make: Callable[[Array], LogMel] = partial(
        fitted_log_mel, rate=found_rate, window=frame, hop=max(1, round(hop * found_rate)), bands=bands, scale=scale
    )
    return Arrays(
        arrays["train"],
        arrays.get("validation"),
        arrays.get("test"),
        task=Classification(len(classes), classes),
        medium="spectrograms",
        preparation=make,
        problems=problems,
    )


def _fitted(waves: list[Array], length: int) -> Array:
    """All clips with `length` samples: silence evenly on both sides, or the middle alone."""
    found = np.zeros((len(waves), length), dtype=waves[0].dtype)
    for row, wave in zip(found, waves, strict=True):
        spare = length - len(wave)
        if spare >= 0:
            row[spare // 2 : spare // 2 + len(wave)] = wave
        else:
            row[:] = wave[-spare // 2 : -spare // 2 + length]
    return found


def _of_folder(root: Path, rate: int, skip: bool) -> tuple[dict[str, Clips], tuple[str, ...], int, tuple[str, ...]]:
    classes, files = class_files(root, (".wav",), "recordings")
    unreadable: list[Path] = []
    read = {split: _read(members, unreadable) for split, members in files.items()}
    total = sum(map(len, files.values()))
    said = f"{len(unreadable)} of {total} files are empty or can't be read as .wav: {named(unreadable)}"
    if len(unreadable) == total or (unreadable and not skip):
        raise WrongUse(f"{root}: {said}; remove them, or leave them out: --set data.skip_unreadable=true")
    rates = sorted({found for clips in read.values() for found, _, _ in clips})
    if len(rates) > 1 and not rate:
        said = ", ".join(map(str, rates[:5]))
        raise WrongUse(f"{root} has recordings of several rates ({said} Hz); say which to make all: --set data.rate=…")
    rate = rate or rates[0]
    splits = {}
    for split, clips in read.items():
        if not clips:
            raise WrongUse(f"{root}: none of the {split} files can be read as .wav")
        waves = [_resampled(wave, found, rate) for found, wave, _ in clips]
        splits[split] = Clips(waves, np.array([label for _, _, label in clips], dtype=np.int64))
    problems = (f"{said}; they are left out",) if unreadable else ()
    return splits, classes, rate, problems


def _read(files: Files, unreadable: list[Path]) -> list[tuple[int, Array, int]]:
    """Rate, samples (int16, one channel) and class of each file; those that can't be read join `unreadable`."""
    from scipy.io import wavfile

    found = []
    for path, label in files:
        try:
            with warnings.catch_warnings():
                # Chunks of other kinds, as titles, are no harm.
                warnings.simplefilter("ignore", wavfile.WavFileWarning)
                rate, samples = wavfile.read(path)
        except Exception:
            # scipy raises errors of many kinds, as struct.error and IndexError, for what is no .wav file.
            unreadable.append(path)
            continue
        if len(samples) and rate > 0:
            found.append((int(rate), _as_int16(samples), label))
        else:
            unreadable.append(path)
    return found


def _as_int16(samples: Array) -> Array:
    """Samples of any type as int16, the mean of the channels."""
    if samples.dtype == np.uint8:
        values = (samples.astype(np.float64) - 128) / 128
    elif np.issubdtype(samples.dtype, np.integer):
        values = samples / -float(np.iinfo(samples.dtype).min)
    else:
        values = np.nan_to_num(samples.astype(np.float64))
    values = values.mean(1) if values.ndim == 2 else values
    return np.rint(values * 32768).clip(-32768, 32767).astype(np.int16)


def _resampled(wave: Array, rate: int, wanted: int) -> Array:
    if rate == wanted:
        return wave
    from scipy.signal import resample_poly

    divisor = gcd(rate, wanted)
    found = resample_poly(wave.astype(np.float64), wanted // divisor, rate // divisor)
    return np.rint(found).clip(-32768, 32767).astype(np.int16) if wave.dtype == np.int16 else found.astype(np.float32)


def _of_archive(argument: str, rate: int) -> tuple[dict[str, Clips], tuple[str, ...], int]:
    arrays = archive_of(argument, "samples, offsets and labels, or x_train and y_train")
    own = int(arrays["sample_rate"]) if "sample_rate" in arrays else rate
    if own <= 0:
        raise WrongUse(f"{argument} doesn't say its rate; add sample_rate, or say --set data.rate=8000")
    splits = _concatenated(argument, arrays) if "samples" in arrays else _rows(argument, arrays)
    for split, clips in splits.items():
        if len(clips.waves) != len(clips.labels):
            raise WrongUse(f"{argument}: {len(clips.waves)} {split} clips, but {len(clips.labels)} labels")
        empty = sum(len(wave) == 0 for wave in clips.waves)
        if empty or not clips.waves:
            raise WrongUse(f"{argument}: {empty or 'all'} of the {split} clips are empty; leave them out")
    splits = {
        split: Clips([_resampled(wave, own, rate or own) for wave in clips.waves], clips.labels)
        for split, clips in splits.items()
    }
    return *_numbered(argument, splits, names_of(arrays)), rate or own


def _concatenated(argument: str, arrays: dict[str, Array]) -> dict[str, Clips]:
    if not {"offsets", "labels"} <= arrays.keys():
        raise WrongUse(f"{argument} has samples, but not both of offsets and labels; it holds {', '.join(arrays)}")
    samples, offsets = _samples(argument, arrays["samples"]), arrays["offsets"].astype(np.int64)
    if offsets.ndim != 1 or len(offsets) < 2 or offsets[-1] > len(samples) or (np.diff(offsets) < 0).any():
        raise WrongUse(f"{argument}: offsets must rise from 0 to the number of samples, {len(samples)}")
    waves = np.split(samples, offsets[1:-1])
    waves[0], waves[-1] = waves[0][offsets[0] :], waves[-1][: offsets[-1] - offsets[-2]]
    labels = arrays["labels"]
    if len(labels) != len(waves):
        raise WrongUse(f"{argument}: {len(waves)} clips, but {len(labels)} labels")
    if "is_test" not in arrays:
        return {"train": Clips(waves, labels)}
    test = arrays["is_test"].astype(bool)
    return {
        split: Clips([waves[i] for i in np.flatnonzero(chosen)], labels[chosen])
        for split, chosen in (("train", ~test), ("test", test))
    }


def _rows(argument: str, arrays: dict[str, Array]) -> dict[str, Clips]:
    splits = {split: pair_of(arrays, names) for split, names in SPLITS.items()}
    splits["train"] = splits["train"] or pair_of(arrays, ("",))
    if splits["train"] is None:
        raise WrongUse(f"{argument} has no samples, offsets and labels, nor x_train and y_train")
    found = {}
    for split, pair in splits.items():
        if pair is not None:
            if pair[0].ndim != 2:
                raise WrongUse(f"{argument}: {split} waveforms of shape {pair[0].shape}; expected (n, samples)")
            found[split] = Clips(list(_samples(argument, pair[0])), pair[1])
    return found


def _samples(argument: str, samples: Array) -> Array:
    """Samples as int16 or finite float32."""
    if samples.dtype == np.int16:
        return samples
    if not np.issubdtype(samples.dtype, np.floating):
        raise WrongUse(f"{argument} has samples of type {samples.dtype}; expected int16, or floats from -1 to 1")
    if not np.isfinite(samples).all():
        raise WrongUse(f"{argument} holds {int((~np.isfinite(samples)).sum()):,} samples that aren't finite")
    return samples.astype(np.float32)


def _numbered(argument: str, splits: dict[str, Clips], names: tuple[str, ...]) -> Any:
    """The splits with labels from 0 on, and the classes."""
    if not all(np.issubdtype(clips.labels.dtype, np.integer) and clips.labels.ndim == 1 for clips in splits.values()):
        raise WrongUse(f"{argument}: labels must be integers, one a clip")
    values = np.unique(splits["train"].labels)
    unknown = set(np.concatenate([clips.labels for clips in splits.values()]).tolist()) - set(values.tolist())
    if unknown or len(values) < 2:
        said = f"labels that train has not, as {min(unknown)}" if unknown else f"one class only ({values[0]})"
        raise WrongUse(f"{argument} has {said}; every class needs training clips, and there must be two")
    known = len(names) > int(values.max()) and values.min() >= 0
    classes = tuple(names[value] if known else str(value) for value in values)
    return {s: Clips(c.waves, np.searchsorted(values, c.labels).astype(np.int64)) for s, c in splits.items()}, classes

"""NumPy archives: x_train, y_train, and the other splits where there are any."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from archfront.contracts import WrongUse
from evaluators.datasets import stored
from evaluators.datasets.arrays import DATASETS, Array, Arrays
from evaluators.datasets.rows import header

SPLITS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
IMAGES, LABELS = ("x", "images", "X"), ("y", "labels", "Y")


ERRORS = (OSError, ValueError, BadZipFile, EOFError, zlib.error)
"""What reading an archive raises that is none, or a broken one."""


@DATASETS.register("npz")
def npz(argument: str, memory_mb: float = stored.MEMORY_MB) -> Arrays:
    """`npz:PATH`: x_train, y_train, optionally x_val, y_val, x_test, y_test, class_names; or just x and y.

    `images` and `labels` may stand for x and y, and `train_images` for `x_train`. Pictures are (n, height, width) or
    (n, height, width, channels), as Keras keeps them. Arrays of Python objects are refused, since reading them
    would run code from the file. What takes more than `memory_mb` is unpacked into the cache once.
    """
    file = Path(argument).expanduser()
    if not file.is_file():
        raise WrongUse(f"no file {argument}; give the path of an .npz archive with x_train and y_train")
    try:
        large = _large(file, memory_mb)
        with np.load(file, allow_pickle=False) as archive:
            arrays: dict[str, Any] = {key: large[key] if key in large else archive[key] for key in archive.files}
        splits = {split: _pair(arrays, names) for split, names in SPLITS.items()}
        train = splits["train"] or _pair(arrays, ("",))
        if train is None:
            raise WrongUse(f"{argument} has no x_train and y_train; it holds {', '.join(sorted(arrays)) or 'nothing'}")
        names = arrays.get("class_names", arrays.get("classes", np.array([])))
        classes = tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names.tolist())
        if large:
            return _unpacked(file, {**splits, "train": train}, classes, memory_mb)
    except WrongUse:
        raise
    except ERRORS as error:
        raise WrongUse(f"{argument} can't be read as .npz: {' '.join(str(error).split())[:120]}") from None
    return Arrays(train, splits["validation"], splits["test"], classes)


@dataclass(frozen=True)
class _Member:
    """Pictures in an archive, which may be compressed, read from their beginning a few at a time."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def chunks(self, labels: Array) -> stored.Chunks:
        row = int(np.prod(self.shape[1:]))
        size = stored.per_chunk(row * self.dtype.itemsize)
        with ZipFile(self.file) as archive, archive.open(self.name) as member:
            header(member, self.name)
            for start in range(0, self.shape[0], size):
                count = min(size, self.shape[0] - start)
                values = np.frombuffer(member.read(count * row * self.dtype.itemsize), self.dtype)
                if len(values) != count * row:
                    raise ValueError(f"{self.name} is cut off")
                yield values.reshape(count, *self.shape[1:]), labels[start : start + count]


def _large(file: Path, memory_mb: float) -> dict[str, _Member]:
    """The arrays of pictures of an archive by their names, where they are too large for memory together."""
    found = {}
    with ZipFile(file) as archive:
        for name in archive.namelist():
            key = name.removesuffix(".npy")
            if key == name or not any(f"_{part}_" in f"_{key}_" for part in IMAGES):
                continue
            with archive.open(name) as member:
                try:
                    found[key] = _Member(file, name, *header(member, key))
                except ValueError:
                    if archive.getinfo(name).file_size > memory_mb * 2**20:
                        raise
    whole = sum(int(np.prod(member.shape)) * (1 if member.dtype == np.uint8 else 4) for member in found.values())
    # What isn't a number for each pixel of some pictures is told by whoever checks arrays.
    good = all(len(member.shape) in (3, 4) and member.dtype.kind in "uif" for member in found.values())
    return found if good and whole > memory_mb * 2**20 else {}


def _unpacked(file: Path, pairs: Mapping[str, Any], classes: tuple[str, ...], memory_mb: float) -> Arrays:
    """The archive's pictures in the cache."""
    given = {split: pairs[split] for split in ("train", "validation", "test") if pairs[split] is not None}
    first = given["train"][0]
    for split, (images, labels) in given.items():
        stored.check_pair(images, labels, f"npz:{file}: the {split} split")
        if (images.shape[1:], images.dtype) != (first.shape[1:], first.dtype):
            raise WrongUse(
                f"npz:{file}: {split} images are {images.shape[1:]} of {images.dtype}, train images {first.shape[1:]} "
                f"of {first.dtype}; make them the same"
            )
    status = file.stat()
    streamed = stored.Streamed(
        {"npz": str(file.resolve())},
        {"size": status.st_size, "time": status.st_mtime_ns},
        first.shape[1:],
        first.dtype,
        {split: len(labels) for split, (_, labels) in given.items()},
        lambda split: given[split][0].chunks(given[split][1].reshape(-1)),
        f"npz:{file}",
    )
    return stored.arrays_of_entry(streamed.cached(), memory_mb, classes=classes)


def _pair(arrays: Mapping[str, Any], splits: tuple[str, ...]) -> tuple[Any, Array] | None:
    for split in splits:
        for images, labels in zip(IMAGES, LABELS, strict=True):
            spellings = (f"{images}_{split}", f"{labels}_{split}"), (f"{split}_{images}", f"{split}_{labels}")
            for x, y in spellings if split else ((images, labels),):
                if x in arrays and y in arrays:
                    return arrays[x], arrays[y]
    return None

"""NumPy archives: x_train, y_train, and the other splits where there are any."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from archfront.contracts import WrongUse
from evaluators.datasets import stored
from evaluators.datasets.archive import INPUTS, archive_of, names_of, pair_of
from evaluators.datasets.arrays import DATASETS, Arrays
from evaluators.datasets.class_files import SPLITS
from evaluators.datasets.pictures import check_shapes
from evaluators.datasets.rows import Array, header

ERRORS = (OSError, ValueError, BadZipFile, EOFError, zlib.error)
"""What reading raises where there is no archive, or a broken one."""


@DATASETS.register("npz")
def npz(argument: str, memory_mb: float = stored.MEMORY_MB) -> Arrays:
    """`npz:PATH`: x_train, y_train, optionally x_val, y_val, x_test, y_test, class_names; or just x and y.

    `images` and `labels` may stand for x and y, and `train_images` for `x_train`. Pictures are (n, height, width) or
    (n, height, width, channels), as Keras keeps them; y is a class number each, or 0 and 1 for each class,
    (n, classes), where a picture has several labels. Arrays of Python objects are refused, since reading them would
    run code from the file. What takes more than `memory_mb` is unpacked once, into the cache.
    """
    file = Path(argument).expanduser()
    large = _large(file, memory_mb)
    arrays = archive_of(argument, known=large)
    splits = {split: pair_of(arrays, names) for split, names in SPLITS.items()}
    train = splits["train"] or pair_of(arrays, ("",))
    if train is None:
        raise WrongUse(f"{argument} has no x_train and y_train; it holds {', '.join(sorted(arrays)) or 'nothing'}")
    if large:
        given = {"train": train, "validation": splits["validation"], "test": splits["test"]}
        entry = _unpacked(file, {split: pair for split, pair in given.items() if pair is not None})
        return stored.arrays_of_entry(entry, memory_mb, classes=names_of(arrays))
    return Arrays(train, splits["validation"], splits["test"], names_of(arrays))


@dataclass(frozen=True)
class _Member:
    """Pictures in an archive, which may be compressed, read from their beginning a few at a time."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def held(self) -> int:
        """How many bytes they take as they are held."""
        return int(np.prod(self.shape)) * (1 if self.dtype == np.uint8 else 4)

    def chunks(self, labels: Array) -> stored.Chunks:
        """The pictures with their labels, some at a time."""
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
    """The pictures of an archive by their arrays' names, where they are too large for memory together.

    What can't be read, or is no pictures, is left to whoever reads arrays, and says so.
    """
    found = {}
    try:
        with ZipFile(file) as archive:
            for name in archive.namelist():
                key = name.removesuffix(".npy")
                if key != name and any(f"_{part}_" in f"_{key}_" for part in INPUTS):
                    with archive.open(name) as opened:
                        found[key] = _Member(file, name, *header(opened, key))
    except ERRORS:
        return {}
    good = all(len(member.shape) in (3, 4) and member.dtype.kind in "uif" for member in found.values())
    return found if good and sum(member.held for member in found.values()) > memory_mb * 2**20 else {}


def _unpacked(file: Path, pairs: dict[str, tuple[Any, Array]]) -> stored.Entry:
    """The archive's pictures in the cache."""
    first: _Member = pairs["train"][0]
    for split, (images, labels) in pairs.items():
        check_shapes(images.shape, labels, f"npz:{file}: the {split} split")
        if (images.shape[1:], images.dtype) != (first.shape[1:], first.dtype):
            raise WrongUse(
                f"npz:{file}: {split} images are {images.shape[1:]} of {images.dtype}, train images {first.shape[1:]} "
                f"of {first.dtype}; make them the same"
            )

    def chunks(split: str) -> stored.Chunks:
        images, labels = pairs[split]
        return images.chunks(labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels)

    status = file.stat()
    streamed = stored.Streamed(
        {"npz": str(file.resolve())},
        {"size": status.st_size, "time": status.st_mtime_ns},
        first.shape[1:],
        first.dtype,
        {split: len(labels) for split, (_, labels) in pairs.items()},
        chunks,
        f"npz:{file}",
    )
    try:
        return streamed.cached()
    except WrongUse:
        raise
    except ERRORS as error:
        raise WrongUse(f"{file} can't be read as .npz: {' '.join(str(error).split())[:120]}") from None

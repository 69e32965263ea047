"""Labelled pictures that are read a few at a time: into the cache, where they are too large for memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np

from archfront.contracts import WrongUse
from evaluators.datasets import cache
from evaluators.datasets.arrays import Arrays
from evaluators.datasets.rows import Array, Mapped

MEMORY_MB = 1024.0
"""Raw examples of more than this (in units of 2^20 bytes) aren't held in memory, unless `memory_mb` says otherwise."""
AT_ONCE = 16 * 2**20
"""About how many bytes of pictures are in a chunk, wherever they are treated in chunks."""

Chunks = Iterator[tuple[Array, Array]]
"""Pictures (k, height, width[, channels]) and their labels (k,), then some more."""


@dataclass(frozen=True)
class Streamed:
    """A source of pictures that gives them a few at a time.

    `source` and `contents` are those of `cache.stored`. `chunks` gives each split from its beginning, called in the
    order train, validation, test; `counts` says about how many pictures they have. `shape` (height, width[, channels])
    and `dtype` are those of a picture. `found`, asked when all were read, is what else to keep (JSON).
    """

    source: dict[str, Any]
    contents: dict[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    counts: dict[str, int]
    chunks: Callable[[str], Chunks]
    name: str = "data"
    found: Callable[[], Any] = field(default=lambda: None)

    @property
    def nbytes(self) -> int:
        """The memory that they would take as they are held."""
        return sum(self.counts.values()) * int(np.prod(self.shape)) * (1 if self.dtype == np.uint8 else 4)

    @property
    def held(self) -> tuple[int, ...]:
        """The shape of a picture as it is held, channels first."""
        height, width, channels = self.shape if len(self.shape) == 3 else (*self.shape, 1)
        return channels, height, width

    def cached(self) -> cache.Entry:
        """Their entry of the cache, made where there is none."""
        return cache.stored(self.source, self.contents, self._write)

    def _write(self, writing: cache.Writing) -> dict[str, Any]:
        writing.needs(self.nbytes)
        digest, values = sha256(), np.empty(0, np.int64)
        for split in self.counts:
            labels = self._written(writing, split, digest)
            values = np.unique(labels) if split == "train" else values
            # As the hash of data in memory, which has classes' numbers for labels.
            digest.update(np.searchsorted(values, labels).astype(np.int64).tobytes())
            writing.array(f"{split}.labels", labels)
        return {"sha256": digest.hexdigest(), "splits": list(self.counts), "found": self.found()}

    def _written(self, writing: cache.Writing, split: str, digest: Any) -> Array:
        """Write the pictures of a split, channels first, as uint8 or float32; gives their labels."""
        dtype = np.dtype(np.uint8 if self.dtype == np.uint8 else np.float32)
        labels, wrong = [np.empty(0, np.int64)], 0
        with writing.file(split, self.held, dtype) as file:
            for images, given in self.chunks(split):
                rows = images[..., None] if images.ndim == 3 else images
                rows = np.ascontiguousarray(rows.transpose(0, 3, 1, 2), dtype)
                wrong += 0 if dtype == np.uint8 else int((~np.isfinite(rows)).sum())
                file.append(rows)
                digest.update(rows.data)
                labels.append(np.asarray(given, np.int64))
        if wrong:
            raise WrongUse(f"{self.name}: the {split} split holds {wrong} values that aren't finite; clean it first")
        return np.concatenate(labels)


def arrays_of_entry(entry: cache.Entry, memory_mb: float, **more: Any) -> Arrays:
    """What an entry holds, as a source gives it: rows of files, or arrays where they fit into memory after all.

    `more` are further fields of `Arrays`.
    """
    fits = entry.nbytes <= memory_mb * 2**20
    pairs: dict[str, Any] = dict.fromkeys(("train", "validation", "test"))
    for split in entry.about["splits"]:
        rows: Any = entry.rows[split]
        pairs[split] = (rows[:].numpy().transpose(0, 2, 3, 1) if fits else rows), entry.array(f"{split}.labels")
    return Arrays(**pairs, entry=None if fits else entry, **more)


def per_chunk(nbytes: int) -> int:
    """How many examples of so many bytes are in a chunk."""
    return max(1, AT_ONCE // max(1, nbytes))


def check_memory(memory_mb: Any) -> float:
    """The setting `memory_mb`; raises `WrongUse` where it is no number of 0 or more."""
    if isinstance(memory_mb, bool) or not isinstance(memory_mb, int | float) or not memory_mb >= 0:
        raise WrongUse(f"memory_mb must be a number of 0 or more, as 1024, not {memory_mb!r}")
    return float(memory_mb)


def check_pair(images: Any, labels: Array, what: str) -> None:
    """Raise `WrongUse` where `images`, of which only the shape is looked at, and labels are no labelled pictures."""
    shape = tuple(images.shape)
    if len(shape) not in (3, 4):
        raise WrongUse(f"{what} has images of shape {shape}; expected (n, height, width[, channels])")
    labels = labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise WrongUse(f"{what} has labels of shape {labels.shape} and type {labels.dtype}; expected n integers")
    if shape[0] != len(labels):
        raise WrongUse(f"{what} has {shape[0]} images but {len(labels)} labels")
    if shape[0] == 0:
        raise WrongUse(f"{what} is empty; give it pictures of at least two classes")
    if len(shape) == 4 and shape[-1] > 4 and shape[1] <= 4:
        raise WrongUse(f"{what} looks channels-first, {shape}; expected (n, height, width, channels)")


def moments(rows: Mapped, scale: float, step: int) -> list[list[float]]:
    """Mean and standard deviation per channel of every `step`-th picture, divided by `scale`.

    Computed as NumPy does it for pictures of several channels in memory, but a few of them at a time.
    """
    numbers = np.arange(len(rows))[::step]
    size = per_chunk(rows.nbytes // len(rows) * 8)
    count = len(numbers) * rows.shape[2] * rows.shape[3]

    def summed(center: Array) -> Array:
        total = np.zeros(rows.shape[1])
        for start in range(0, len(numbers), size):
            values = rows.at(numbers[start : start + size])[:].numpy().astype(np.float64) / scale
            if len(center):
                values = (values - center.reshape(1, -1, 1, 1)) ** 2
            for of_channels in values.reshape(*values.shape[:2], -1).sum(axis=2):
                total += of_channels
        return total

    mean = summed(np.empty(0)) / count
    return [mean.tolist(), np.sqrt(summed(mean) / count).tolist()]

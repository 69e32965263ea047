"""Labelled pictures that are read a few at a time: into the cache, where they are too large for memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
import torch

from archfront.contracts import WrongUse
from evaluators.datasets.arrays import Arrays
from evaluators.datasets.cache import Entry, Writing, stored
from evaluators.datasets.preparation import Normalization
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
    and `dtype` are those of a picture. `found`, asked when all were read, is what else to keep (JSON). `own_task` says
    that labels stay as they are, for a task that the source names; else they are classes.
    """

    source: dict[str, Any]
    contents: dict[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    counts: dict[str, int]
    chunks: Callable[[str], Chunks]
    name: str = "data"
    found: Callable[[], Any] = field(default=lambda: None)
    own_task: bool = False

    @property
    def nbytes(self) -> int:
        """The memory that they would take as they are held."""
        return sum(self.counts.values()) * int(np.prod(self.shape)) * (1 if self.dtype == np.uint8 else 4)

    @property
    def held(self) -> tuple[int, ...]:
        """The shape of a picture as it is held, channels first."""
        height, width, channels = self.shape if len(self.shape) == 3 else (*self.shape, 1)
        return channels, height, width

    def cached(self) -> Entry:
        """Their entry of the cache, made where there is none."""
        return stored(self.source, self.contents, self._write)

    def _write(self, writing: Writing) -> dict[str, Any]:
        writing.needs(self.nbytes)
        digest, values = sha256(), np.empty(0, np.int64)
        for split in self.counts:
            labels = self._written(writing, split, digest)
            values = np.unique(labels) if split == "train" else values
            # As the hash of data in memory, where labels are numbers of classes, or uint8 where there are several.
            numbered = np.searchsorted(values, labels).astype(np.int64) if labels.ndim == 1 else labels.astype(np.uint8)
            digest.update((labels if self.own_task else numbered).tobytes())
            writing.array(f"{split}.labels", labels)
        return {"sha256": digest.hexdigest(), "splits": list(self.counts), "found": self.found()}

    def _written(self, writing: Writing, split: str, digest: Any) -> Array:
        """Write the pictures of a split, channels first, as uint8 or float32; gives their labels."""
        dtype = np.dtype(np.uint8 if self.dtype == np.uint8 else np.float32)
        labels, wrong = [], 0
        with writing.file(split, self.held, dtype) as file:
            for images, given in self.chunks(split):
                rows = images[..., None] if images.ndim == 3 else images
                rows = np.ascontiguousarray(rows.transpose(0, 3, 1, 2), dtype)
                wrong += 0 if dtype == np.uint8 else int((~np.isfinite(rows)).sum())
                file.append(rows)
                digest.update(rows.data)
                labels.append(np.asarray(given))
        if wrong:
            raise WrongUse(f"{self.name}: the {split} split holds {wrong} values that aren't finite; clean it first")
        return np.concatenate(labels) if labels else np.empty(0, np.int64)


def arrays_of_entry(entry: Entry, memory_mb: float, **more: Any) -> Arrays:
    """What an entry holds, as a source gives it: rows of files, or arrays where they fit into memory after all.

    `more` are further fields of `Arrays`.
    """
    fits = entry.nbytes <= memory_mb * 2**20
    pairs: dict[str, Any] = dict.fromkeys(("train", "validation", "test"))
    for split in entry.about["splits"]:
        rows: Any = entry.rows[split]
        pairs[split] = (rows[:].numpy().transpose(0, 2, 3, 1) if fits else rows), entry.arrays[f"{split}.labels"]
    return Arrays(**pairs, entry=None if fits else entry, **more)


def per_chunk(nbytes: int) -> int:
    """How many examples of so many bytes are in a chunk."""
    return max(1, AT_ONCE // max(1, nbytes))


def check_memory(memory_mb: Any) -> float:
    """The setting `memory_mb`; raises `WrongUse` where it is no number of 0 or more."""
    if isinstance(memory_mb, bool) or not isinstance(memory_mb, int | float) or not memory_mb >= 0:
        raise WrongUse(f"memory_mb must be a number of 0 or more, as 1024, not {memory_mb!r}")
    return float(memory_mb)


def stored_normalization(rows: Mapped, entry: Entry) -> Normalization:
    """To zero mean and unit variance per channel, by a sample of the training pictures, as of pictures in memory."""
    scale = 255.0 if rows.dtype == torch.uint8 else 1.0
    sample = rows.at(np.arange(len(rows))[:: max(1, len(rows) // 4096)])
    name = sha256(sample.numbers.tobytes()).hexdigest()[:24]
    mean, std = entry.remembered(f"moments-{name}", lambda: _moments(sample, scale))
    return Normalization(mean, [max(value, 1e-3) for value in std], scale)


def _moments(rows: Mapped, scale: float) -> list[list[float]]:
    """Mean and standard deviation per channel of pictures divided by `scale`, a few of them at a time.

    The order of additions is NumPy's for pictures of several channels in memory; of one channel, the last digits of
    double precision may differ.
    """
    size = per_chunk(rows.nbytes // len(rows) * 8)
    count = len(rows) * rows.shape[2] * rows.shape[3]

    def summed(center: Array | None) -> Array:
        total = np.zeros(rows.shape[1])
        for start in range(0, len(rows), size):
            values = rows[start : start + size].numpy().astype(np.float64) / scale
            if center is not None:
                values = (values - center.reshape(1, -1, 1, 1)) ** 2
            for of_channels in values.reshape(*values.shape[:2], -1).sum(axis=2):
                total += of_channels
        return total

    mean = summed(None) / count
    return [mean.tolist(), np.sqrt(summed(mean) / count).tolist()]

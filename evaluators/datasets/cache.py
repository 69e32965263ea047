"""Data that were read once, kept on disk: rows that are larger than memory, for all processes of a host.

An entry is a folder, whole or not there at all: it is written beside its place under a lock and then renamed, so
processes that start at once make it once. It lies in `data` below `$ARCHFRONT_CACHE`, or else `archfront` in the
user's cache folder, and may be removed at any time.
"""

import errno
import fcntl
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from hashlib import blake2b, sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.lib import format as npy

from archfront.contracts import WrongUse
from evaluators.datasets.rows import Array, Mapped

LAYOUT = 1
"""Counts how entries are laid out; those of another layout are made again."""
ABOUT, HASHES = "entry.json", "{}.hashes"
LOOKED_AT = 64
"""Of each file of rows, so many are compared with their hashes whenever an entry is opened."""


def folder() -> Path:
    """Where entries are."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "archfront"
    return (Path(os.environ.get("ARCHFRONT_CACHE") or default) / "data").expanduser()


def row_hashes(rows: Array) -> Array:
    """A hash of the bytes of each row, uint64 (n,)."""
    flat = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), math.prod(rows.shape[1:]) * rows.itemsize)
    return np.array([int.from_bytes(blake2b(row.data, digest_size=8).digest(), "little") for row in flat], np.uint64)


class Entry:
    """An entry that is there: rows in files, small arrays, and what was found out while it was written, `about`."""

    def __init__(self, place: Path) -> None:
        """Raises `OSError`, `ValueError`, `KeyError` or `TypeError` where it isn't whole."""
        self.place = place
        self._written: dict[str, Any] = json.loads((place / ABOUT).read_text())
        self.about: dict[str, Any] = self._written["about"]
        self.arrays = {name: self._whole(name, hashed) for name, hashed in self._written["arrays"].items()}
        self.rows = {name: self._opened(name) for name in self._written["rows"]}

    def has(self, contents: dict[str, Any]) -> bool:
        """Whether it is of these contents."""
        return bool(self._written["contents"] == {**contents, "layout": LAYOUT})

    @cached_property
    def nbytes(self) -> int:
        """How much memory all its rows would take."""
        return sum(rows.nbytes for rows in self.rows.values())

    def _whole(self, name: str, hashed: str) -> Array:
        path = self.place / f"{name}.npy"
        if sha256(path.read_bytes()).hexdigest() != hashed:
            raise ValueError(f"{path} is damaged")
        found: Array = np.load(path, allow_pickle=False)
        return found

    def remembered(self, name: str, found: Callable[[], Any]) -> Any:
        """What `found` gives, JSON; worked out once and kept beside the rows."""
        # What is written is of these contents, even if another process has replaced the entry meanwhile.
        contents = sha256(json.dumps(self._written["contents"], sort_keys=True).encode()).hexdigest()[:16]
        path = self.place / f"{name}-{contents}.json"
        with suppress(OSError, ValueError):
            return json.loads(path.read_text())
        value = found()
        own = path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):  # On a full disk it is worked out again the next time.
            own.write_text(json.dumps(value))
            own.replace(path)
        return value

    def _opened(self, name: str) -> Mapped:
        """The rows of a file, of the size that it was written with, and some of them compared with their hashes."""
        path = self.place / f"{name}.npy"
        hashes = self.arrays[HASHES.format(name)]
        rows = Mapped(path, hashes)
        if path.stat().st_size != self._written["rows"][name] or len(rows) != len(hashes):
            raise ValueError(f"{path} is cut off")
        some = np.linspace(0, len(rows) - 1, min(LOOKED_AT, len(rows))).astype(np.int64)
        if not np.array_equal(row_hashes(rows[some].numpy()), hashes[some]):
            raise ValueError(f"{path} is damaged")
        return rows


class Writing:
    """An entry that is being written. Its methods raise `WrongUse`, one line, where the disk takes no more."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.rows: dict[str, int] = {}
        self.arrays: dict[str, str] = {}

    def needs(self, size: int) -> None:
        """Say how many bytes are to come: a disk that lacks the room says so now."""
        free = shutil.disk_usage(self.place).free
        if size > free:
            raise _full(self.place, f"{size / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free")

    @contextmanager
    def file(self, name: str, shape: tuple[int, ...], dtype: Any) -> Iterator["RowWriter"]:
        """A file for rows of this shape; what is held of them in memory at a time is what is appended at a time."""
        with RowWriter(self.place / f"{name}.npy", shape, np.dtype(dtype)) as writer:
            yield writer
        self.rows[name] = (self.place / f"{name}.npy").stat().st_size
        self.array(HASHES.format(name), np.concatenate([np.empty(0, np.uint64), *writer.hashes]))

    def array(self, name: str, array: Array) -> None:
        """Keep a small array."""
        path = self.place / f"{name}.npy"
        with _on_disk(self.place), path.open("wb") as file:
            np.save(file, array, allow_pickle=False)
            os.fsync(file.fileno())
        self.arrays[name] = sha256(path.read_bytes()).hexdigest()

    def finish(self, contents: dict[str, Any], about: dict[str, Any]) -> None:
        """Leave what describes the entry."""
        written = {"contents": {**contents, "layout": LAYOUT}, "rows": self.rows, "arrays": self.arrays, "about": about}
        with _on_disk(self.place), (self.place / ABOUT).open("w") as file:
            file.write(json.dumps(written))
            file.flush()
            os.fsync(file.fileno())


class RowWriter:
    """A `.npy` file that grows row by row."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.path, self.shape, self.dtype, self.count = path, shape, dtype, 0
        self.hashes: list[Array] = []

    def append(self, rows: Array) -> None:
        """Write (n, ...) more."""
        rows = np.ascontiguousarray(rows, self.dtype)
        if rows.shape[1:] != self.shape:
            raise ValueError(f"rows of shape {rows.shape[1:]} in a file of {self.shape}")
        with _on_disk(self.path):
            self._file.write(rows.reshape(-1).view(np.uint8).data)
        self.hashes.append(row_hashes(rows))
        self.count += len(rows)

    def __enter__(self) -> "RowWriter":
        with _on_disk(self.path):
            self._file = self.path.open("wb")
            self._head()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            with _on_disk(self.path):
                if error is None:
                    self._file.seek(0)
                    # NumPy leaves room in a header for the number of rows to grow, so that it keeps its length.
                    self._head()
                    self._file.flush()
                    os.fsync(self._file.fileno())
        finally:
            with suppress(OSError):  # What is still to be written doesn't fit either, and was told.
                self._file.close()

    def _head(self) -> None:
        shape = (self.count, *self.shape)
        about = {"descr": npy.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(self._file, about)


def find(source: dict[str, Any], contents: dict[str, Any]) -> Entry | None:
    """The entry of a source, if there is one, whole and of these contents."""
    place = _place(source)
    if not place.is_dir():
        return None
    with _locked(place):
        return _whole(place, contents)


def stored(source: dict[str, Any], contents: dict[str, Any], write: Callable[[Writing], dict[str, Any]]) -> Entry:
    """The entry of a source, written by `write` where there is none that is whole and of these contents.

    `source` names what is read and how (JSON), `contents` is whatever changes with what it holds, as files' sizes and
    times. One entry is kept for a source: what was there of other contents is removed first. `write` gives what is
    kept as `about`. Only one process writes at a time; the others wait, and then find it.
    """
    place = _place(source)
    with _on_disk(place):
        place.parent.mkdir(parents=True, exist_ok=True)
    with _locked(place):
        found = _whole(place, contents)
        if found is not None:
            return found
        partial = place.with_suffix(".partial")
        for old in (place, partial):
            shutil.rmtree(old, ignore_errors=True)
        try:
            with _on_disk(place):
                partial.mkdir()
            writing = Writing(partial)
            writing.finish(contents, write(writing))
            with _on_disk(place):
                partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return Entry(place)


def _place(source: dict[str, Any]) -> Path:
    return folder() / sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()[:24]


def _whole(place: Path, contents: dict[str, Any]) -> Entry | None:
    """The entry there, unless there is none, or one that is stale, damaged or of another layout."""
    try:
        found = Entry(place)
        return found if found.has(contents) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Alone with an entry, among all processes; the kernel lets go of it when its holder dies."""
    with _on_disk(place):
        file = place.with_suffix(".lock").open("w")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _on_disk(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(place, "it is full") from None
        raise WrongUse(
            f"the cache of data can't be written at {folder()} ({error.strerror or error}); "
            "set ARCHFRONT_CACHE to a folder that can"
        ) from None


def _full(place: Path, why: str) -> WrongUse:
    return WrongUse(
        f"no room for the cache of data on the disk of {place.parent}: {why}; make room there, or set ARCHFRONT_CACHE "
        "to a folder on another disk"
    )

"""Examples in a file, read when they are taken: for data sets that are larger than memory."""

import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numpy.lib import format as npy
from torch import Tensor

Array = npt.NDArray[Any]


class Mapped:
    """Rows of a `.npy` file, in the file's order or those of some `numbers`, taken as tensors.

    A slice, an integer tensor or an integer takes them, as of a tensor. They are read into memory of their own, not
    mapped: mapped pages would count as resident memory of every process, while the kernel's page cache holds one copy
    for all of a host. Reading is safe from any thread and after a fork. `hashes`, uint64 (n,), are those of the rows'
    bytes, where they are known: equal rows have equal ones. `numbers` are the rows' places in the file.
    """

    def __init__(self, path: str | Path, hashes: Array | None = None) -> None:
        self._file = _File(path)
        self.numbers: Array = np.arange(self._file.count)
        self.hashes = hashes

    def at(self, numbers: Array) -> "Mapped":
        """A part of these rows, in the order of `numbers`: integers, or a Boolean for each."""
        part = object.__new__(Mapped)
        part._file, part.numbers = self._file, self.numbers[numbers]
        part.hashes = None if self.hashes is None else self.hashes[numbers]
        return part

    @property
    def shape(self) -> torch.Size:
        """(n, ...), as of a tensor."""
        return torch.Size((len(self), *self._file.shape))

    @property
    def ndim(self) -> int:
        """The number of dimensions, that of the rows included."""
        return 1 + len(self._file.shape)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the values."""
        found: torch.dtype = torch.from_numpy(np.empty(0, self._file.dtype)).dtype
        return found

    @property
    def nbytes(self) -> int:
        """How much memory they would take."""
        return len(self) * self._file.row

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, chosen: Any) -> Tensor:
        if isinstance(chosen, int):
            return torch.from_numpy(self._file.read(self.numbers[[chosen]]))[0]
        numbers = self.numbers[chosen if isinstance(chosen, slice) else torch.as_tensor(chosen).cpu().numpy()]
        return torch.from_numpy(self._file.read(numbers))


class _File:
    """An open `.npy` file of `count` rows of `row` bytes each."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self.path.open("rb") as file:
            shape, dtype = header(file, str(path))
            self.start = file.tell()
        self.count, self.shape, self.dtype = shape[0], shape[1:], dtype
        self.row = dtype.itemsize * int(np.prod(self.shape))
        self.descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self.descriptor)

    def __reduce__(self) -> tuple[Any, ...]:
        return _File, (self.path,)

    def read(self, numbers: Array) -> Array:
        """The rows of these numbers; neighbours in the file, which slices have many of, are read in one go."""
        found: Array = np.empty((len(numbers), *self.shape), self.dtype)
        into = found.reshape(-1).view(np.uint8).data
        edges = [0, *(np.flatnonzero(np.diff(numbers) != 1) + 1).tolist(), len(numbers)]
        firsts = numbers[edges[:-1]].tolist() if len(numbers) else []
        for first, start, end in zip(firsts, edges[:-1], edges[1:], strict=False):
            self._fill(into[start * self.row : end * self.row], self.start + first * self.row)
        return found

    def _fill(self, into: memoryview, place: int) -> None:
        while into:
            got = os.preadv(self.descriptor, [into], place)
            if got == 0:
                raise OSError(f"{self.path} has been cut off; remove it, and it is made again")
            into, place = into[got:], place + got


def header(file: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the array in an open `.npy` file, which is then at its first value.

    Raises `ValueError` for what can't be read row by row: Python objects, structures, columns before rows.
    """
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{name} has values of an unknown kind")
    shape, columns_first, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(file)
    if dtype.hasobject or dtype.fields:
        raise ValueError(f"{name} holds Python objects or structures")
    if columns_first and len(shape) > 1:
        raise ValueError(f"{name} is in Fortran order; save it with numpy.ascontiguousarray")
    return shape, dtype

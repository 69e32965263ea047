"""All architectures of a space that is small enough to look at every one."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from search_spaces.space import SearchSpace

POOL = 60_000
"""Spaces of at most this many architectures are enumerated by the controllers that look at whole spaces."""


class Pool:
    """The architectures of a space, their genes, and which of them are still unseen."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self.architectures = list(space.enumerate())
        every = [space.genes(architecture) for architecture in self.architectures]
        self.genes = np.array(every, dtype=np.int64).reshape(len(every), len(space.decisions))
        self._index = {genes: i for i, genes in enumerate(every)}
        self._unseen: npt.NDArray[np.bool_] = np.ones(len(every), dtype=bool)
        self._marked = 0

    @classmethod
    def of(cls, space: SearchSpace) -> "Pool | None":
        """The space's pool; None when it is too large, or of unknown size."""
        size = space.size()
        return cls(space) if size is not None and size <= POOL else None

    def unseen(self, known: Mapping[str, Any]) -> npt.NDArray[np.intp]:
        """Which architectures are not among `known` (by digest; it may only grow from call to call)."""
        for architecture in islice(known.values(), self._marked, None):
            self._unseen[self._index[self._space.genes(architecture)]] = False
        self._marked = len(known)
        return np.flatnonzero(self._unseen)

    def drop(self, index: int) -> None:
        """Count an architecture as seen: it is another spelling of a known one."""
        self._unseen[index] = False

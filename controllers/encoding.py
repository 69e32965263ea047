"""Architectures as zeros and ones, so that a model can compare them decision by decision with one matrix product."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from search_spaces.decisions import INACTIVE, Decision

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Genes = npt.NDArray[np.int64]


class BinaryEncoding:
    """A space's genes as binary vectors whose weighted Hamming distance is a sum over *components*.

    Each component's distance lies between 0 and 1:

    - one per decision: 0 where the options agree (or both are inactive), else 1;
    - one more per decision among three or more numbers: how far apart they are on its scale;
    - one per set of decisions with the same options: by how much the counts of the options differ, whatever the place.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        options = [len(decision.options) for decision in decisions]
        self._scaled = [i for i, d in enumerate(decisions) if d.ordered and options[i] > 2]
        groups = _alike(decisions)
        component = [np.repeat(np.arange(len(options)), np.array(options, dtype=int) + 1)]
        scale = [np.full(len(component[0]), 0.5)]
        self._hot_index = component[0]
        self._hot_value = np.concatenate([np.arange(INACTIVE, n) for n in options] or [np.zeros(0, dtype=int)])
        self._ranks = [np.argsort(np.argsort(np.array(decisions[i].options, dtype=float))) for i in self._scaled]
        for number, i in enumerate(self._scaled, len(options)):
            steps = options[i] - 1
            component.append(np.full(2 * steps + 1, number))
            scale.append(np.array([0.5 / steps] * (2 * steps) + [0.5]))
        self._tally, self._count_index, self._count_step = self._tallies(groups, options)
        for number, members in enumerate(groups, len(options) + len(self._scaled)):
            width = len(members) * (options[members[0]] + 1)
            component.append(np.full(width, number))
            scale.append(np.full(width, 0.5 / len(members)))
        self.components = len(options) + len(self._scaled) + len(groups)
        self._component = np.concatenate(component)
        self._scale = np.concatenate(scale)

    def _tallies(self, groups: Sequence[Sequence[int]], options: Sequence[int]) -> tuple[Vectors, Any, Any]:
        """The matrix that counts a group's options, and which count each column compares with which number."""
        columns: list[npt.NDArray[np.bool_]] = []
        index: list[int] = []
        step: list[int] = []
        for members in groups:
            for option in range(INACTIVE, options[members[0]]):
                index += [len(columns)] * len(members)
                step += range(1, len(members) + 1)
                columns.append(np.isin(self._hot_index, members) & (self._hot_value == option))
        tally = np.array(columns, dtype=np.float32).reshape(len(columns), len(self._hot_index)).T
        return tally, np.array(index, dtype=int), np.array(step, dtype=np.float32)

    def encode(self, genes: Genes) -> Vectors:
        """The binary vectors, (n, columns), of the genes, (n, decisions)."""
        hot = (genes[:, self._hot_index] == self._hot_value).astype(np.float32)
        blocks: list[npt.NDArray[Any]] = [hot]
        for i, rank in zip(self._scaled, self._ranks, strict=True):
            active = (genes[:, i] != INACTIVE)[:, None]
            at_least = rank[genes[:, i]][:, None] >= np.arange(1, len(rank))
            # One column per step below the option, one per step above it, and one for being inactive.
            blocks += [at_least & active, ~at_least & active, ~active]
        blocks.append((hot @ self._tally)[:, self._count_index] >= self._count_step)
        return np.concatenate(blocks, axis=1, dtype=np.float32)

    def distances(self, vectors: Vectors) -> Floats:
        """Every component's distances among the vectors: (components, n, n)."""
        found = np.empty((self.components, len(vectors), len(vectors)))
        for component in range(self.components):
            columns = np.flatnonzero(self._component == component)
            part = vectors[:, columns].astype(np.float64)
            found[component] = _hamming(part, part, self._scale[columns])
        return found

    def distance(self, left: npt.NDArray[Any], right: npt.NDArray[Any], weights: Floats) -> npt.NDArray[Any]:
        """The sum of the components' distances times their weights: (len(left), len(right))."""
        return _hamming(left, right, (self._scale * weights[self._component]).astype(left.dtype))


def _hamming(left: npt.NDArray[Any], right: npt.NDArray[Any], weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
    weighted = left * weights
    distance = weighted.sum(axis=1)[:, None] + right @ weights - 2 * (weighted @ right.T)
    return np.maximum(distance, 0)


def _alike(decisions: Sequence[Decision]) -> list[list[int]]:
    """The sets of two or more decisions with the same options."""
    groups: dict[str, list[int]] = {}
    for index, decision in enumerate(decisions):
        groups.setdefault(repr(decision.options), []).append(index)
    return [members for members in groups.values() if len(members) > 1]

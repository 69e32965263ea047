"""Architectures as vectors that a model can compare decision by decision, with one matrix product."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from search_spaces.decisions import Decision
from search_spaces.space import SearchSpace

Floats = npt.NDArray[np.float64]
SAMPLED = 300
"""Random architectures from which the scale of traits is taken."""


@dataclass(frozen=True)
class Vectors:
    """Encoded architectures, one per row: `hot` columns are zeros and ones, the others numbers."""

    hot: Floats
    counts: Floats
    traits: Floats

    def __len__(self) -> int:
        return len(self.hot)

    def __getitem__(self, rows: Any) -> "Vectors":
        return Vectors(self.hot[rows], self.counts[rows], self.traits[rows])

    def joined(self, other: "Vectors") -> "Vectors":
        """These rows, then the other's."""
        return Vectors(
            np.concatenate([self.hot, other.hot]),
            np.concatenate([self.counts, other.counts]),
            np.concatenate([self.traits, other.traits]),
        )


@dataclass(frozen=True)
class Compared:
    """Two sets of architectures, each of one with each of the other: (rows, columns) all.

    `linear` are the share of decisions that are equal, the products of counts, and those of traits; `apart` are the
    squared distances of traits.
    """

    linear: tuple[Floats, Floats, Floats]
    apart: Floats


class Traits:
    """The traits that a space's architectures have, on a common scale: (n, traits) with mean 0, length 1 on average.

    Which traits there are, and how they vary, is taken from random architectures.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        rows = [space.traits(space.sample(seed)) for seed in range(SAMPLED)]
        self._names = sorted({name for row in rows for name in row})
        table = np.array([[row.get(name, 0.0) for name in self._names] for row in rows]).reshape(SAMPLED, -1)
        self._mean = table.mean(axis=0)
        spread = table.std(axis=0)
        self._scale = np.where(spread > 0, spread, np.inf) * max(int((spread > 0).sum()), 1) ** 0.5
        self._known: dict[bytes, Floats] = {}

    def __len__(self) -> int:
        return len(self._names)

    def of(self, genes: npt.NDArray[np.int64]) -> Floats:
        """The traits of genes, (n, decisions); each architecture's are worked out once."""
        if not self._names:
            return np.zeros((len(genes), 0))
        rows = [self._row(row) for row in genes]
        return np.array(rows).reshape(len(rows), len(self._names))

    def _row(self, genes: npt.NDArray[np.int64]) -> Floats:
        key = genes.tobytes()
        known = self._known.get(key)
        if known is None:
            found = self._space.traits(self._space.architecture(tuple(genes.tolist())))
            values = np.array([found.get(name, 0.0) for name in self._names])
            known = self._known[key] = (values - self._mean) / self._scale
        return known


class Encoding:
    """The genes of a space as vectors.

    - `hot`: per decision one column per option; for a decision among three or more numbers also one per step of its
      scale, so that near numbers are near. The columns of a decision weigh so that its distance lies between 0 (equal)
      and 1. One that is inactive is half way from any option: that it is says its parent's distance already.
    - `counts`: how often each option was chosen over all decisions that have the same options, wherever they stand:
      what a network costs depends on that more than on the place.
    - `traits`: what the space itself says of its architectures.
    """

    def __init__(self, decisions: Sequence[Decision], traits: Traits | None = None) -> None:
        options = np.array([len(decision.options) for decision in decisions], dtype=np.intp)
        numbers = [i for i, d in enumerate(decisions) if d.ordered and len(d.options) > 2]
        self.decisions = len(decisions)
        self._owner = np.repeat(np.arange(len(options)), options)
        self._option = np.concatenate([np.arange(0), *[np.arange(count) for count in options]])
        self._step_owner = np.repeat(np.array(numbers, dtype=np.intp), options[numbers] - 1)
        self._step = np.concatenate([np.arange(0), *[np.arange(1, options[i]) for i in numbers]])
        self._ranks = np.full((len(options), int(options.max(initial=0)) + 1), -1)
        for i in numbers:
            self._ranks[i, 1 : options[i] + 1] = np.argsort(np.argsort(np.array(decisions[i].options, dtype=float)))
        share = np.where(np.isin(np.arange(len(options)), numbers), 0.5, 1.0)
        self.owners = np.concatenate([self._owner, self._step_owner])
        self.weights = np.concatenate([0.5 * share[self._owner], 0.5 / (options[self._step_owner] - 1)])
        self._tally = _tally(decisions, self._owner, self._option)
        self._traits = traits
        self.traits = 0 if traits is None else len(traits)

    def encode(self, genes: npt.NDArray[np.int64]) -> Vectors:
        """The vectors of genes, (n, decisions)."""
        chosen = genes[:, self._owner] == self._option
        steps = self._ranks[self._step_owner, genes[:, self._step_owner] + 1] >= self._step
        hot = np.concatenate([chosen, steps], axis=1, dtype=np.float64)
        traits = np.zeros((len(genes), 0)) if self._traits is None else self._traits.of(genes)
        return Vectors(hot, hot[:, : len(self._option)] @ self._tally, traits)

    def distance(self, left: Vectors, right: Vectors, weights: Floats) -> Floats:
        """The decisions' distances, summed with these weights: (len(left), len(right))."""
        scale = self.weights * weights[self.owners]
        weighted = left.hot * scale
        found = weighted.sum(axis=1)[:, None] + right.hot @ scale - 2 * (weighted @ right.hot.T)
        return np.maximum(found, 0.0)

    def compared(self, left: Vectors, right: Vectors) -> "Compared":
        """All that kernels need of two sets of architectures and that no weights change."""
        equal = 1.0 - self.distance(left, right, np.full(self.decisions, 1.0 / max(self.decisions, 1)))
        traits = left.traits @ right.traits.T
        squares = (left.traits**2).sum(axis=1)[:, None] + (right.traits**2).sum(axis=1)
        return Compared((equal, left.counts @ right.counts.T, traits), np.maximum(squares - 2 * traits, 0.0))

    def gradient(self, vectors: Vectors, outer: Floats) -> Floats:
        """Per decision, the sum over all pairs of its distance times `outer`, a symmetric (n, n)."""
        sides = vectors.hot.T @ outer.sum(axis=1)
        pairs = ((outer @ vectors.hot) * vectors.hot).sum(axis=0)
        return np.bincount(self.owners, 2 * self.weights * (sides - pairs), self.decisions).astype(np.float64)


def _tally(decisions: Sequence[Decision], owner: npt.NDArray[Any], option: npt.NDArray[Any]) -> Floats:
    """The matrix that counts options over each set of decisions that have the same ones."""
    groups: dict[str, list[int]] = {}
    for index, decision in enumerate(decisions):
        if len(decision.options) > 1:
            groups.setdefault(repr(decision.options), []).append(index)
    columns = [
        (np.isin(owner, members) & (option == chosen)) / len(members) ** 0.5
        for members in groups.values()
        if len(members) > 1
        for chosen in range(len(decisions[members[0]].options))
    ]
    return np.array(columns, dtype=np.float64).reshape(len(columns), len(owner)).T

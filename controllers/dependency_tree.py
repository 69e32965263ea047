"""A distribution over a space's genes that is learnt from few examples: each decision depends on at most one other."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from search_spaces.decisions import INACTIVE, Decision

Floats = npt.NDArray[np.float64]
Genes = npt.NDArray[np.int64]
EVEN = 1.0
"""How many examples of even chance are added to those of each decision."""
PRIOR = 2.0
"""How many examples, of a decision's own frequencies, are added to those with one state of the one it depends on."""


class DependencyTree:
    """Fitted by frequencies, as in "Using Optimal Dependency-Trees for Combinatorial Optimization".

    Each decision depends on the earlier one that tells most about it among the examples, where that is more than chance
    gives by the Bayesian information criterion. In a draw, a decision that isn't in force is void.
    """

    def __init__(self, decisions: Sequence[Decision], examples: Genes, weights: Floats) -> None:
        """`examples` are genes, (n, decisions); `weights` say how much each counts, (n,)."""
        self.decisions = tuple(decisions)
        widths = [len(decision.options) + 1 for decision in decisions]
        self._ends = np.cumsum([0, *widths])
        states = np.arange(self._ends[-1]) - np.repeat(self._ends[:-1], widths) + INACTIVE
        hot = (examples[:, np.repeat(np.arange(len(widths)), widths)] == states).astype(np.float64)
        # How often each state of each decision came together with each of any other; the first state is to be void.
        self._together = (hot * weights[:, None]).T @ hot
        self.parents = [self._parent(i) for i in range(len(widths))]
        self._tables = [self._table(i) for i in range(len(widths))]

    def _options(self, i: int) -> slice:
        return slice(int(self._ends[i]) + 1, int(self._ends[i + 1]))

    def _parent(self, i: int) -> int | None:
        """The earlier decision that tells most about decision i, if any tells more than chance would."""
        counts = self._together[: self._ends[i], self._options(i)]
        own = self._together.diagonal()[self._options(i)]
        total = own.sum()
        if not len(counts) or total <= 1:
            return None
        rows = counts.sum(axis=1)
        starts = self._ends[:i]
        shared = np.add.reduceat(_xlogx(counts).sum(axis=1) - _xlogx(rows), starts) + _xlogx(total) - _xlogx(own).sum()
        freedom = (np.add.reduceat(rows > 0, starts, dtype=np.float64) - 1) * ((own > 0).sum() - 1)
        merit = shared - 0.5 * np.log(total) * freedom
        best = int(merit.argmax())
        return best if merit[best] > 1e-9 else None

    def _table(self, i: int) -> Floats:
        """The probabilities of decision i's options, in a row for each state of the decision it depends on."""
        own, parent = self._together.diagonal()[self._options(i)], self.parents[i]
        alone = (own + EVEN / len(own)) / (own.sum() + EVEN)
        if parent is None:
            return alone[None, :]
        table = self._together[self._ends[parent] : self._ends[parent + 1], self._options(i)] + PRIOR * alone
        return np.asarray(table / table.sum(axis=1, keepdims=True))

    def draw(self, count: int, rng: np.random.Generator, uniform: float = 0.0) -> Genes:
        """Genes of `count` draws, (count, decisions), of which the share `uniform` is even chance."""
        genes = np.full((count, len(self.decisions)), INACTIVE, dtype=np.int64)
        for i, decision in enumerate(self.decisions):
            table, parent = self._tables[i], self.parents[i]
            rows = table[np.zeros(count, dtype=np.int64) if parent is None else genes[:, parent] - INACTIVE]
            edges = ((1 - uniform) * rows + uniform / rows.shape[1]).cumsum(axis=1)
            options = (rng.random((count, 1)) * edges[:, -1:] >= edges).sum(axis=1)
            genes[:, i] = np.where(_in_force(decision, genes), options, INACTIVE)
        return genes


def _in_force(decision: Decision, genes: Genes) -> npt.NDArray[np.bool_]:
    if decision.parent is None:
        return np.ones(len(genes), dtype=bool)
    return np.isin(genes[:, decision.parent], sorted(decision.parent_options))


def _xlogx(values: Floats) -> Floats:
    return np.asarray(values * np.log(np.where(values > 0, values, 1.0)))

"""Drawing the splits that a source doesn't have from its training examples."""

from typing import Any

import numpy as np

from evaluators.datasets.rows import Array, Mapped

Pair = tuple[Any, Array]


def drawn(pair: Pair, share: float, seed: int, groups: Array | None = None) -> tuple[Pair, Pair, Array | None]:
    """The examples in two, the second with `share` of every stratum, or of the groups; and the groups of the first.

    Groups are taken whole. Of every stratum the second part gets at least one example, and never all.
    """
    inputs, targets = pair
    rng = np.random.default_rng([seed, 0x5B117])
    second = _of_strata(strata(targets), share, rng) if groups is None else _of_groups(groups, share, rng)
    mask = np.zeros(len(targets), dtype=bool)
    mask[second] = True
    rest = None if groups is None else groups[~mask]
    return (_part(inputs, ~mask), targets[~mask]), (_part(inputs, mask), targets[mask]), rest


def _part(inputs: Any, mask: Array) -> Any:
    """Some of the inputs, unread where they are in a file."""
    return inputs.at(mask) if isinstance(inputs, Mapped) else inputs[mask]


def strata(targets: Array) -> Array:
    """The stratum of each example, integers (n,): its class; of several labels the rarest; else they are all alike."""
    if targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer):
        return targets
    if targets.ndim == 2 and targets.shape[1] > 1 and np.isin(targets, (0, 1)).all():
        rarity = np.where(targets == 1, targets.sum(0), np.inf)
        return np.where(targets.any(1), rarity.argmin(1), -1)
    return np.zeros(len(targets), dtype=np.int64)


def _of_strata(values: Array, share: float, rng: Any) -> list[int]:
    chosen: list[int] = []
    for value in np.unique(values):
        members = rng.permutation(np.flatnonzero(values == value))
        chosen.extend(members[: min(max(1, round(share * len(members))), len(members) - 1)].tolist())
    return chosen


def _of_groups(groups: Array, share: float, rng: Any) -> list[int]:
    """Whole groups until they hold the share of the examples; at least one, and never all."""
    names = rng.permutation(np.unique(groups))
    chosen: list[int] = []
    for name in names[:-1]:
        if chosen and len(chosen) >= share * len(groups):
            break
        chosen.extend(np.flatnonzero(groups == name).tolist())
    return chosen

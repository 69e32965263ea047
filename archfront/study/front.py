"""The Pareto front and its hypervolume, over losses (less is better)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Point:
    """An evaluated candidate as a point: its losses in the order of the objectives, and all its metric values.

    `predicted` names the values that were worked out rather than measured; `bounds` are the 95 % intervals of those
    that have one.
    """

    digest: str
    number: int
    losses: tuple[float, ...]
    values: dict[str, float]
    predicted: frozenset[str] = frozenset()
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)


def nondominated(losses: Sequence[Sequence[float]]) -> list[bool]:
    """For each point, whether no other dominates it; equal points don't dominate each other."""
    if not losses:
        return []
    from moocore import is_nondominated

    return [bool(kept) for kept in is_nondominated(np.asarray(losses, dtype=float), keep_weakly=True)]


def hypervolume(losses: Sequence[Sequence[float]], reference: Sequence[float] | None = None) -> float:
    """The volume dominated by the points up to `reference`; default: the worst value of each objective among them."""
    if not losses:
        return 0.0
    from moocore import hypervolume as volume

    points = np.asarray(losses, dtype=float)
    bound = points.max(axis=0) if reference is None else np.asarray(reference, dtype=float)
    return float(volume(points, ref=bound))

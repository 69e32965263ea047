"""How much a candidate is expected to add to the front, given how probable a model finds each value of its losses."""

from collections.abc import Callable
from random import Random

import numpy as np

from controllers.encoding import Floats

STEPS = 24
"""Points of the integrals over a loss, besides the front's own values."""
DIRECTIONS, POSITIONS = 6, 6
"""With three objectives or more: random directions along which the hypervolume is taken, and points on each."""

Below = Callable[[int, Floats], Floats]
"""The probability that loss number `i` of each candidate is at most each of the values: (values, candidates)."""


def expected_gain(below: Below, front: Floats, reference: Floats, ideal: Floats, rng: Random) -> Floats:
    """The hypervolume that each candidate is expected to add, as a share of that between `ideal` and `reference`.

    Exact, but for the integrals' grid, for one objective (expected improvement) and two; for more it is an estimate
    along random directions. `front`: losses (members, objectives), of which some may dominate others.
    """
    if len(reference) == 1:
        best = min([*front[:, 0].tolist(), float(reference[0])])
        gain = _areas(below, 0, float(ideal[0]), np.array([best]))[0]
    elif len(reference) == 2:
        gain = _in_strips(below, front, reference, ideal)
    else:
        return _along_directions(below, front, reference, ideal, rng)
    return np.asarray(gain / np.prod(reference - ideal))


def _in_strips(below: Below, front: Floats, reference: Floats, ideal: Floats) -> Floats:
    """Two objectives: the plane left of the reference is cut into strips between the front's members.

    As in "Hypervolume-based Expected Improvement: Monotonicity Properties and Exact Computation".
    """
    edges, heights = [], [float(reference[1])]
    for first, second in sorted(map(tuple, front.tolist())):
        if first < reference[0] and second < heights[-1]:
            edges.append(first)
            heights.append(second)
    edges.append(float(reference[0]))
    left = _areas(below, 0, float(ideal[0]), np.array(edges))
    widths = np.diff(left, axis=0, prepend=np.zeros((1, left.shape[1])))
    gains = _areas(below, 1, float(ideal[1]), np.array(heights[::-1]))[::-1]
    return np.asarray(np.einsum("ij,ij->j", widths, gains))


def _areas(below: Below, objective: int, low: float, ends: Floats) -> Floats:
    """E[max(0, end - max(low, loss))] for ascending `ends`, (ends, candidates): the integral of the probability."""
    grid = np.unique(np.concatenate([np.linspace(min(low, ends[0]), ends[-1], STEPS), ends]))
    probability = below(objective, grid)
    pieces = 0.5 * (probability[1:] + probability[:-1]) * np.diff(grid)[:, None]
    areas = np.concatenate([np.zeros((1, probability.shape[1])), np.cumsum(pieces, axis=0)])
    return np.asarray(areas[np.searchsorted(grid, ends)])


def _along_directions(below: Below, front: Floats, reference: Floats, ideal: Floats, rng: Random) -> Floats:
    """As in "Random Hypervolume Scalarizations for Provable Multi-Objective Black Box Optimization".

    The hypervolume is, but for a factor, the mean over directions of the k-th power of how far from the reference
    the front reaches along each; the expected growth of that is an integral over one variable.
    """
    objectives = len(reference)
    span = reference - ideal
    total: Floats | float = 0.0
    for _ in range(DIRECTIONS):
        direction = np.abs([rng.gauss(0, 1) for _ in range(objectives)]) + 1e-3
        direction *= span / np.linalg.norm(direction)
        reached = max(0.0, float(((reference - front) / direction).min(axis=1).max(initial=0)))
        step = max(float((span / direction).min()) - reached, 1e-9) / POSITIONS
        positions = reached + step * (np.arange(POSITIONS) + 0.5)
        beyond = np.prod([below(i, reference[i] - direction[i] * positions) for i in range(objectives)], axis=0)
        total = total + step * objectives * (positions ** (objectives - 1)) @ beyond
    return np.asarray(total)

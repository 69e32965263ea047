"""How much hypervolume points add to a front."""

import numpy as np
import numpy.typing as npt

from controllers.encoding import Floats

DIRECTIONS = 64
"""Along which the hypervolume of three objectives or more is taken."""

Many = npt.NDArray[np.float64]


def gain(points: Many, front: Floats, reference: Floats, rng: np.random.Generator) -> Many:
    """Of each of the points, (..., objectives), the hypervolume between front and reference that it alone would add.

    Exact for one objective (how much better than the best) and two; for more it is estimated along random directions,
    as in "Random Hypervolume Scalarizations for Provable Multi-Objective Black Box Optimization".
    """
    inside = front[(front < reference).all(axis=1)]
    if len(reference) == 1:
        return np.asarray(np.maximum(inside.min(initial=float(reference[0])) - points[..., 0], 0.0))
    if len(reference) == 2:
        return _strips(points, inside, reference)
    return _directions(points, inside, reference, rng)


def _strips(points: Many, front: Floats, reference: Floats) -> Many:
    """The plane is cut into strips between the front's members, in each of which a point adds a rectangle."""
    edges, heights = [-np.inf], [float(reference[1])]
    for first, second in sorted(map(tuple, front.tolist())):
        if second < heights[-1]:
            edges.append(first)
            heights.append(second)
    ends = np.array([*edges[1:], float(reference[0])])
    found = np.zeros(points.shape[:-1])
    for start, end, height in zip(edges, ends, heights, strict=True):
        width = np.maximum(end - np.maximum(start, points[..., 0]), 0.0)
        found += width * np.maximum(height - points[..., 1], 0.0)
    return found


def _directions(points: Many, front: Floats, reference: Floats, rng: np.random.Generator) -> Many:
    """But for a factor, hypervolume is the mean over directions of how far it reaches along each, to the power."""
    count = len(reference)
    directions = np.abs(rng.standard_normal((DIRECTIONS, count))) + 1e-3
    span = reference - np.concatenate([front, points.reshape(-1, count)]).min(axis=0)
    directions *= np.maximum(span, 1e-300) / np.linalg.norm(directions, axis=1, keepdims=True)
    found = np.zeros(points.shape[:-1])
    for direction in directions:
        reached = ((reference - front) / direction).min(axis=1).max(initial=0.0)
        reach = np.maximum(((reference - points) / direction).min(axis=-1), reached)
        found += reach**count - reached**count
    return found / DIRECTIONS

"""Fronts of accuracy against latency, as `benchmarks.automl` compares them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import moocore
import numpy as np


class Point(NamedTuple):
    """What a network is worth: its accuracy, a fraction, and its latency in ms."""

    accuracy: float
    latency_ms: float


def hypervolume(points: Sequence[Point], worst: Point) -> float:
    """The area that `points` cover between them and `worst`, in accuracy × natural logarithm of latency."""
    if not points:
        return 0.0
    losses = np.array([[1 - point.accuracy, math.log(point.latency_ms)] for point in points])
    return float(moocore.hypervolume(losses, ref=np.array([1 - worst.accuracy, math.log(worst.latency_ms)])))


def front(points: Sequence[Point]) -> list[int]:
    """The numbers of those points that no other is better than, the fastest first; of equal ones the first."""
    order = sorted(range(len(points)), key=lambda i: (points[i].latency_ms, -points[i].accuracy, i))
    found: list[int] = []
    for number in order:
        if not found or points[number].accuracy > points[found[-1]].accuracy:
            found.append(number)
    return found


def covering(points: Sequence[Point], count: int, worst: Point) -> list[int]:
    """The numbers of `count` points that cover most together, greedily: each adds what it can to those before it.

    Where none adds anything more, the most accurate of the rest are taken.
    """
    chosen: list[int] = []
    while len(chosen) < min(count, len(points)):
        rest = [number for number in range(len(points)) if number not in chosen]

        def gain(number: int, chosen: list[int] = chosen) -> tuple[float, float]:
            area = hypervolume([points[i] for i in (*chosen, number)], worst)
            return round(area, 12), points[number].accuracy

        chosen.append(max(rest, key=gain))
    return chosen

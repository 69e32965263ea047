"""Holes: what may stand in an architecture where a value would, and so makes it a search space."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, isfinite, log
from typing import Any, TypeVar, cast

from search_spaces.errors import SpaceError

T = TypeVar("T")

MANY = 200
"""The most numbers that a range is cut into."""


@dataclass(frozen=True)
class OneOf:
    """A choice among `options`, each a value, a part, or a part with holes of its own."""

    options: tuple[Any, ...]

    @property
    def ordered(self) -> bool:
        """Whether the options are numbers, so that a predictor may treat the choice as a scale."""
        return all(isinstance(option, int | float) and not isinstance(option, bool) for option in self.options)


@dataclass(frozen=True)
class Repeat:
    """`count` times `item`, as a tuple; each repetition chooses on its own unless `shared`."""

    count: int | OneOf
    item: Any
    shared: bool = False


def one_of(*options: T) -> T:
    """A hole to be filled by one of `options`; typed as one of them, so that a space reads as an ordinary tree.

    Options that are themselves choices are taken apart: `one_of(one_of(1, 2), 3)` is `one_of(1, 2, 3)`.
    """
    flat: list[Any] = []
    for option in options:
        flat.extend(option.options if isinstance(option, OneOf) else [option])
    if not flat:
        raise SpaceError("one_of() needs at least one option")
    return cast(T, OneOf(tuple(flat)))


def integers(low: int, high: int, step: int = 1) -> int:
    """A hole to be filled by an integer of `low`, `low + step`, … up to and including `high`."""
    if step < 1 or high < low:
        raise SpaceError(f"integers({low}, {high}, {step}) is empty; give low <= high and step >= 1")
    return one_of(*range(low, high + 1, step))


def uniform(low: float, high: float, steps: int = 33) -> float:
    """A hole to be filled by a number from `low` to `high`: one of `steps` that are equally far apart.

    The ends are exact, the numbers between are rounded to four significant digits.
    """
    _check_range("uniform", low, high, steps)
    return _grid("uniform", low, high, [low + (high - low) * i / (steps - 1) for i in range(steps)])


def log_uniform(low: float, high: float, steps: int = 33) -> float:
    """A hole to be filled by a number from `low` to `high`: one of `steps`, each the same multiple of the one before.

    The ends are exact, the numbers between are rounded to four significant digits.
    """
    _check_range("log_uniform", low, high, steps)
    if low <= 0:
        raise SpaceError(f"log_uniform({low}, {high}) must begin above 0; raise its low end, or take uniform()")
    ratio = log(high / low)
    return _grid("log_uniform", low, high, [low * exp(ratio * i / (steps - 1)) for i in range(steps)])


def _check_range(kind: str, low: float, high: float, steps: int) -> None:
    for end in (low, high):
        if not isinstance(end, int | float) or isinstance(end, bool) or not isfinite(end):
            raise SpaceError(f"{kind}() takes two finite numbers, not {end!r}")
    if low >= high:
        raise SpaceError(f"{kind}({low}, {high}) is empty; give low < high")
    if not isinstance(steps, int) or isinstance(steps, bool) or not 2 <= steps <= MANY:
        raise SpaceError(f"{kind}() takes steps, an integer from 2 to {MANY}, not {steps!r}")


def _grid(kind: str, low: float, high: float, values: Sequence[float]) -> float:
    grid = [float(low), *(float(f"{value:.4g}") for value in values[1:-1]), float(high)]
    if any(before >= after for before, after in pairwise(grid)):
        raise SpaceError(f"{kind}({low}, {high}) is too narrow for {len(grid)} numbers of 4 digits; give fewer steps")
    return one_of(*grid)


def repeat(count: int, item: T, shared: bool = False) -> tuple[T, ...]:
    """`item` repeated `count` times, where `count` may be a hole; typed as the tuple it becomes."""
    counts: Sequence[object] = count.options if isinstance(count, OneOf) else [count]
    for value in counts:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise SpaceError(f"repeat() takes a number of times that is an integer >= 0, not {value!r}")
    return cast(tuple[T, ...], Repeat(count, item, shared))

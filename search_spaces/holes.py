"""Holes: what may stand in an architecture where a value would, and so makes it a search space."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from search_spaces.errors import SpaceError

T = TypeVar("T")


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


def repeat(count: int, item: T, shared: bool = False) -> tuple[T, ...]:
    """`item` repeated `count` times, where `count` may be a hole; typed as the tuple it becomes."""
    counts: Sequence[object] = count.options if isinstance(count, OneOf) else [count]
    for value in counts:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise SpaceError(f"repeat() takes a number of times that is an integer >= 0, not {value!r}")
    return cast(tuple[T, ...], Repeat(count, item, shared))

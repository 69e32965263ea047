"""Architectures that together show all that a space holds, the largest and the smallest ones, and fair samples."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, islice, product
from math import prod
from random import Random
from typing import Any

from search_spaces import canonical
from search_spaces.decisions import Decision
from search_spaces.errors import SpaceError
from search_spaces.space import Space

TRIES = 100
"""Draws of an extreme architecture that a space with rules is given."""

TRIPLES = 500_000
"""The most combinations of the options of three choices that a covering is made of."""

Row = dict[int, int]
"""The option taken on each axis."""
Pins = dict[int, frozenset[int]]
"""For some of a space's decisions, the options that they must take."""


@dataclass(frozen=True)
class Axis:
    """Decisions that are taken alike: those at the same place of each block, with the same options.

    `parent` is the axis of the choice of kind that must have taken one of `when` for this one to be in force.
    """

    place: str
    labels: tuple[str, ...]
    ordered: bool
    largest: int
    parent: int | None
    when: frozenset[int]


def axes_of(space: Space) -> tuple[list[Axis], list[int]]:
    """The axes of a space, and the axis of each of its decisions."""
    found: dict[Axis, int] = {}
    numbers: list[int] = []
    for decision in space.decisions:
        parent, when = _kind_above(space, decision)
        largest = max(range(len(decision.options)), key=decision.options.__getitem__) if decision.ordered else 0
        axis = Axis(
            place=re.sub(r"\.\d+(?=\.|$)", ".*", decision.path),
            labels=tuple(map(canonical.outline, decision.options)),
            ordered=decision.ordered,
            largest=largest,
            parent=None if parent is None else numbers[parent],
            when=when,
        )
        numbers.append(found.setdefault(axis, len(found)))
    return list(found), numbers


def covering(space: Space, pins: Pins | None = None) -> Iterator[Any]:
    """Few architectures that together have every pair of kinds at the largest sizes, and every size with every kind.

    The first are the largest; kinds are the options of choices that aren't numbers. `pins` keep to some options.
    """
    axes, numbers = axes_of(space)
    return drawn(space, axes, numbers, rows_of_kinds(axes), pins or {})


def covering_sizes(space: Space, pins: Pins | None = None) -> Iterator[Any]:
    """More architectures, with every combination of the options of three choices, be they sizes or kinds.

    Of two choices where there are more than `TRIPLES` of three, which can't be held in memory.
    """
    axes, numbers = axes_of(space)
    return drawn(space, axes, numbers, rows_of_sizes(axes), pins or {})


def rows_of_kinds(axes: list[Axis]) -> Iterator[Row]:
    """The rows of `covering`."""
    kinds = [number for number, axis in enumerate(axes) if not axis.ordered]
    yield from covered(axes, kinds, {}, 2)
    for number, axis in enumerate(axes):
        for size in range(len(axis.labels)):
            if axis.ordered and size != axis.largest:
                yield from covered(axes, kinds, {number: size}, 1)


def rows_of_sizes(axes: list[Axis]) -> Iterator[Row]:
    """The rows of `covering_sizes`."""
    yield from covered(axes, list(range(len(axes))), {}, 3 if _triples(axes) <= TRIPLES else 2)


def _triples(axes: list[Axis]) -> int:
    """How many combinations there are of the options of three axes."""
    ways = [1, 0, 0, 0]
    for axis in axes:
        for taken in (3, 2, 1):
            ways[taken] += ways[taken - 1] * len(axis.labels)
    return ways[3]


def at_most(axes: list[Axis], limit: int, triples: bool) -> bool:
    """Whether `covering`, or `covering_sizes` (`triples`), has at most `limit` rows; cheap where it has far more."""
    always = [len(axis.labels) for axis in axes if axis.parent is None and (triples or not axis.ordered)]
    # Options that are always in force all meet each other, so the largest of these axes need that many rows.
    if prod(sorted(always)[-3 if triples else -2 :]) > limit:
        return False
    if triples and _triples(axes) > TRIPLES:
        return False
    rows = rows_of_sizes(axes) if triples else rows_of_kinds(axes)
    return next(islice(rows, limit, None), None) is None


def drawn(space: Space, axes: list[Axis], numbers: list[int], rows: Iterable[Row], pins: Pins) -> Iterator[Any]:
    """The architecture of each row that there is one of: what a row leaves open is the largest."""
    for row in rows:
        taken = [row.get(number, axes[number].largest) for number in numbers]
        for decision, allowed in pins.items():
            if taken[decision] not in allowed:
                largest = axes[numbers[decision]].largest
                taken[decision] = largest if largest in allowed else min(allowed)
        try:
            architecture = space.drawn(lambda index, _, taken=taken: taken[index])  # type: ignore[misc]
        except SpaceError:
            continue  # These options don't go together.
        yield architecture


def at_random(space: Space, pins: Pins, rng: Random, sizes: bool) -> Iterator[Any]:
    """One architecture drawn from the space, rules or not; `sizes` are drawn, too, or are the largest."""

    def pick(index: int, options: int) -> int:
        allowed = sorted(pins.get(index, range(options)))
        decision = space.decisions[index]
        if decision.ordered and not sizes:
            return max(allowed, key=decision.options.__getitem__)
        return rng.choice(allowed)

    try:
        yield space.drawn(pick)
    except SpaceError:
        return  # These options don't go together.


def covered(axes: list[Axis], chosen: list[int], fixed: Row, strength: int) -> Iterator[Row]:
    """Rows with `fixed` in each that have every combination of the options of `strength` of the chosen axes."""
    strength = min(strength, len(chosen))
    wanted = dict.fromkeys(
        options
        for group in combinations(chosen, strength)
        for options in product(*([(axis, option) for option in range(len(axes[axis].labels))] for axis in group))
    )
    while wanted:
        row: Row = {}
        first = next(iter(wanted))
        possible = all(_fix(axes, row, axis, option) for axis, option in (*fixed.items(), *first))
        if possible:
            for axis in chosen:
                if axis not in row:
                    _fix_best(axes, row, axis, wanted, strength)
            active = [(axis, row[axis]) for axis in chosen if in_force(axes, row, axis)]
            for done in combinations(active, strength):
                wanted.pop(done, None)
            yield row
        wanted.pop(first, None)


def _fix(axes: list[Axis], row: Row, axis: int, option: int) -> bool:
    """Take an option, and what must be taken for it to be in force; False where the row has taken another."""
    if row.setdefault(axis, option) != option:
        return False
    parent = axes[axis].parent
    if parent is None:
        return True
    return row[parent] in axes[axis].when if parent in row else _fix(axes, row, parent, min(axes[axis].when))


def _fix_best(axes: list[Axis], row: Row, axis: int, wanted: dict[Any, None], strength: int) -> None:
    """Take the option that is in most of the combinations still wanted."""

    def gain(option: int) -> int:
        others = combinations(row.items(), strength - 1)
        return sum(tuple(sorted([(axis, option), *taken])) in wanted for taken in others)

    best = max(range(len(axes[axis].labels)), key=gain)
    trial = dict(row)
    # Where it can't be in force, any option will do.
    row.update(trial if _fix(axes, trial, axis, best) else {axis: best})


def in_force(axes: list[Axis], row: Row, axis: int) -> bool:
    """Whether a row's choices of kinds leave anything to decide on an axis."""
    parent = axes[axis].parent
    return parent is None or (row.get(parent) in axes[axis].when and in_force(axes, row, parent))


def _kind_above(space: Space, decision: Decision) -> tuple[int | None, frozenset[int]]:
    """The nearest decision above that isn't a number, and the options of it under which `decision` is in force."""
    while decision.parent is not None:
        above = space.decisions[decision.parent]
        if not above.ordered:
            return decision.parent, decision.parent_options
        decision = above
    return None, frozenset()


def extreme(space: Space, largest: bool, rng: Random) -> Any:
    """An architecture with the largest, or the smallest, of all sizes; its kinds are drawn from `rng`.

    Where a space's rules leave none of these, any architecture is drawn.
    """
    return among_extremes(space, largest, rng, lambda decision: 1)


def among_extremes(space: Space, largest: bool, rng: Random, allowed: Callable[[Decision], int]) -> Any:
    """An architecture whose sizes are drawn from the `allowed(decision)` largest, or smallest, of the options.

    Its kinds are drawn from all. Where a space's rules leave none of these, any architecture is drawn.
    """

    def pick(index: int, options: int) -> int:
        decision = space.decisions[index]
        if not decision.ordered:
            return rng.randrange(options)
        order = sorted(range(options), key=decision.options.__getitem__, reverse=largest)
        count = min(options, allowed(decision))
        return order[0 if count == 1 else rng.randrange(count)]

    for _ in range(TRIES if space.rules else 1):
        architecture = space.drawn(pick)
        if space.allows(architecture):
            return architecture
    return space.sample(rng)


def fair(space: Space, rng: Random) -> list[Any]:
    """Architectures that together take every option of each decision, equally often where the numbers allow it.

    Of a space with rules only those that are allowed.
    """
    paths = max((len(decision.options) for decision in space.decisions), default=1)
    orders = []
    for decision in space.decisions:
        order = list(range(len(decision.options)))
        rng.shuffle(order)
        orders.append(order)
    found = [space.drawn(lambda i, count, path=path: orders[i][path % count]) for path in range(paths)]  # type: ignore[misc]
    return [architecture for architecture in found if space.allows(architecture)]


def enlarged(space: Space, architecture: Any) -> Any:
    """The architecture of the same kinds with the largest of all sizes; kinds of what it adds are the first ones."""
    genes = space.genes(architecture)

    def pick(index: int, options: int) -> int:
        decision = space.decisions[index]
        if decision.ordered:
            return max(range(options), key=decision.options.__getitem__)
        return max(0, genes[index])

    return space.drawn(pick)

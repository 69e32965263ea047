"""Which choices of a space act on the same tensors, learnt from few networks, and the networks that this asks for.

`covering` has every pair of kinds, and every size with every kind, whether or not they have to do with one another.
But the key of a tensor is the chain of the parts that build it, so it depends on what stands above it in the tree, and
on siblings only

- where a part is built inside of one that doesn't hold it in the tree, as a norm is by its placement;
- where a part's weights depend on what it is given (`tells_apart`), which stems, downsamples and widths change;
- where a choice changes what a part names its own tensors, or makes them larger.

`Interplay` changes one choice at a time, sees from the recorded calls which of these there are, and then builds what
has them together, until what it has seen asks for nothing more.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations, product
from math import prod
from typing import Any

from search_spaces import canonical
from search_spaces.parts import Part, fields_of
from search_spaces.space import Space
from search_spaces.weight_sharing.recording import Frame, Shape, TensorView
from search_spaces.weight_sharing.sampling import Pins, Row, axes_of, covered, drawn, in_force
from search_spaces.weight_sharing.sharing import Arguments, branch_of, shared_fields, site_of, tells_apart

PRODUCT = 64
"""So many combinations of choices that act together are all built; of more, every pair, or triple, of them."""
FEW = 8
"""A choice of more options than this isn't tried as one that may enlarge what other parts are given."""
ROUNDS = 12
"""How often what was seen is looked through for what else to build; each takes what is new one part further."""
ATTEMPTS = 3
"""Networks that an option is tried in that doesn't build with the largest of all else."""

Full = tuple[int, ...]
"""The option on each axis; the usual one where an axis isn't in force."""


def kind_of(part: Part, arguments: Arguments) -> str:
    """What the configurations that share with `part`, given these arguments, have in common."""
    return branch_of(part, site_of(arguments))


@dataclass(eq=False)
class Sight:
    """One call of a part's `build`, seen in one network.

    `spot` is where the call is: all calls that it is inside of, without what only their arguments decide; `place` is
    that and the part, by its settings that aren't shared as sizes. `kind` is empty unless the part `tells_apart`.
    """

    part: Part
    arguments: Arguments
    path: str
    spot: str
    place: str
    kind: str
    outer: "Sight | None"
    tensors: dict[str, Shape] = field(default_factory=dict)
    """What the part's own module holds, that of parts inside of it apart, by the names that are shared."""

    @property
    def design(self) -> str:
        """Which part is where, whatever its settings and its number among those beside it."""
        return re.sub(r"\.\d+(?=\.|$)", ".*", self.path) + f":{self.part.name}"

    def chain(self) -> "Iterator[Sight]":
        """This call, and those that it is inside of, from the inner to the outer."""
        yield self
        if self.outer is not None:
            yield from self.outer.chain()

    def given(self) -> Arguments:
        """What makes its tensors large: its arguments, and the settings that are shared as sizes."""
        return (self.arguments, *(getattr(self.part, name) for name in shared_fields(self.part)))


@dataclass(frozen=True)
class Wish:
    """Options that some network should have together; `served` says whether what was built since has that already."""

    row: tuple[tuple[int, int], ...]
    served: Callable[[], bool] = field(compare=False)


Look = Callable[[Any, list[Frame]], list[TensorView] | None]
"""Builds an architecture: its tensors, the calls added to the list; None where it can't be built."""


class Interplay:
    """The networks that show the tensors of a space, `pins` held fixed; `run` has `look` build them.

    `related` switched off, only what single choices show is seen, which is for tests and benchmarks.
    """

    def __init__(self, space: Space, pins: Pins, look: Look, related: bool = True) -> None:
        self._space, self._pins, self._look, self._related = space, pins, look, related
        self._axes, self._numbers = axes_of(space)
        self._usual = [axis.largest for axis in self._axes]
        self._at: dict[str, set[int]] = {}
        self._below: dict[str, set[int]] = {}
        for number, decision in zip(self._numbers, space.decisions, strict=True):
            self._at.setdefault(decision.path, set()).add(number)
            for end in re.finditer(r"\.|$", decision.path):
                self._below.setdefault(decision.path[: end.start()], set()).add(number)
        stars = {path[: star.start()] for path in self._at for star in re.finditer(r"\.\*", path)}
        self._shared = sorted(stars, key=len)
        self._texts: dict[str, dict[str, Sight] | None] = {}
        self._built: dict[Full, dict[str, Sight] | None] = {}
        self._given: dict[str, set[int]] = {}
        """The axes that change what is given to the part at a path."""
        self._acts: dict[str, set[int]] = {}
        """The axes that change the names, or enlarge the shapes, of a design's own tensors."""
        self._turns: dict[str, set[int]] = {}
        """The axes that change the kind of a design's part, given the same."""
        self._makes: dict[str, set[int]] = {}
        """The axes that decide whether there is a call at a spot."""
        self._first: dict[str, tuple[Sight, Full]] = {}
        self._configured: dict[tuple[str, str, str, str], tuple[Sight, Sight, Full]] = {}
        self._known: dict[str, dict[Arguments, Full]] = {}
        self._served: dict[tuple[str, str, str], dict[Full, Arguments]] = {}
        self._tried: dict[Wish, int] = {}

    def run(self) -> None:
        """Build what single choices show, then what these show to act together, until nothing is missing."""
        self._settle()
        for number, axis in enumerate(self._axes):
            for option in range(len(axis.labels)):
                self._probe(number, option)
        for _ in range(ROUNDS if self._related else 0):
            self._explain()
            wishes = [wish for wish in self._wishes() if self._tried.get(wish, 0) < 2 and not wish.served()]
            if not wishes:
                break
            self._grant(list(dict.fromkeys(wishes)))

    # Networks

    def _full(self, row: Row) -> Full | None:
        """The row with the kinds under which it is in force, all else as usual; None where there are none."""
        closed = self._closed(row)
        if closed is None:
            return None
        return self._normal(tuple(closed.get(number, usual) for number, usual in enumerate(self._usual)))

    def _normal(self, full: Full) -> Full:
        """The row with the usual options where they make no difference."""
        row = dict(enumerate(full))
        return tuple(
            option if in_force(self._axes, row, number) else self._usual[number] for number, option in row.items()
        )

    def _closed(self, row: Row) -> Row | None:
        """The row with the kinds under which it is in force; None where it has others."""
        closed = dict(row)
        for number in row:
            while (parent := self._axes[number].parent) is not None:
                when = self._axes[number].when
                usual = self._usual[parent]
                if closed.setdefault(parent, usual if usual in when else min(when)) not in when:
                    return None
                number = parent
        return closed

    def _build(self, full: Full) -> dict[str, Sight] | None:
        """The calls of the row's network by where they are, looked at as soon as there is something new."""
        if full in self._built:
            return self._built[full]
        found = None
        for architecture in drawn(self._space, self._axes, self._numbers, [dict(enumerate(full))], self._pins):
            text = canonical.text(architecture)
            if text not in self._texts:
                frames: list[Frame] = []
                views = self._look(architecture, frames)
                self._texts[text] = None if views is None else sights(frames, views)
            found = self._texts[text]
        self._built[full] = found
        if found is not None:
            self._note(found, full)
            self._compare(found, full)
        return found

    def _settle(self) -> None:
        """Take as usual what gives parts more than the largest sizes do, as the smallest stride of a stem does."""
        for number, axis in enumerate(self._axes):
            if any(len(self._axes[other].labels) > FEW for other in (number, *self._above(number))):
                continue
            for option in range(len(axis.labels)):
                full, usual = self._full({number: option}), self._full({})
                if full is None or usual is None or full == usual:
                    continue
                before, after = self._build(usual), self._build(full)
                if after is not None and (before is None or _more(before, after)):
                    self._usual = list(full)

    def _probe(self, number: int, option: int) -> None:
        """Change one choice alone; where nothing is built of that, among others that fit."""
        full = self._full({number: option})
        if full is None or self._build(full) is not None:
            return
        tries = 0
        for row in covered(self._axes, list(range(len(self._axes))), {number: option}, 1):
            full = self._full({other: taken for other, taken in row.items() if in_force(self._axes, row, other)})
            if full is not None and self._build(full) is not None:
                tries += 1
            if tries == ATTEMPTS:
                return

    # What networks show

    def _note(self, found: dict[str, Sight], full: Full) -> None:
        for sight in found.values():
            self._first.setdefault(sight.place, (sight, full))
            self._known.setdefault(sight.spot, {}).setdefault(sight.arguments, full)
            for outer in sight.chain():
                if outer is sight or outer.kind:
                    settings = _settings(outer.part, not outer.kind)
                    self._note_given(sight, outer, outer.place, outer.kind, settings, full)
            telling = [outer for outer in sight.chain() if outer.kind]
            if len(telling) > 1:
                # One may be cut where the other isn't, so that all they are given counts.
                outer = telling[-1]
                self._note_given(sight, outer, _joint(telling), str(outer.arguments), "", full)

    def _note_given(self, sight: Sight, outer: Sight, of: str, kind: str, settings: str, full: Full) -> None:
        self._served.setdefault((sight.place, of, kind), {}).setdefault(full, outer.given())
        names = ",".join(sorted(sight.tensors))
        self._configured.setdefault((sight.place, of, settings, names), (sight, outer, full))

    def _compare(self, found: dict[str, Sight], full: Full) -> None:
        """Learn what a choice changes from networks that differ in it alone."""
        for number, option in enumerate(full):
            if option == self._usual[number]:
                continue
            other = self._built.get(self._normal((*full[:number], self._usual[number], *full[number + 1 :])))
            if other is None:
                continue
            self._compare_calls(found, other, number)
            self._compare_calls(other, found, number)
            for spot, sight in found.items():
                before = other.get(spot)
                if before is None:
                    continue
                if before.arguments != sight.arguments:
                    self._given.setdefault(sight.path, set()).add(number)
                elif before.place == sight.place:
                    if before.kind != sight.kind:
                        self._turns.setdefault(sight.design, set()).add(number)
                    if _acted(before, sight):
                        self._acts.setdefault(sight.design, set()).add(number)

    def _compare_calls(self, some: dict[str, Sight], others: dict[str, Sight], number: int) -> None:
        for spot, sight in some.items():
            if spot not in others:
                outer = None if sight.outer is None else others.get(sight.outer.spot)
                # What is missing along with all around it says nothing.
                if outer is not None and sight.outer is not None and outer.place == sight.outer.place:
                    self._makes.setdefault(spot, set()).add(number)

    def _explain(self) -> None:
        """Find what else changes what a part is given, where what is known of it leaves two answers."""
        for spot, known in list(self._known.items()):
            path = spot.rpartition(">")[2].rpartition("#")[0]
            told: dict[tuple[int, ...], tuple[Arguments, Full]] = {}
            for arguments, full in list(known.items()):
                axes = sorted(self._given.get(path, ()))
                other = told.setdefault(tuple(full[number] for number in axes), (arguments, full))
                if other[0] != arguments:
                    self._bisect(spot, path, other[1], full)

    def _bisect(self, spot: str, path: str, left: Full, right: Full) -> None:
        """Find one choice between two rows that changes what is given at a spot, and note it."""
        before = self._built[left]
        assert before is not None
        arguments = before[spot].arguments
        changed = [number for number, (a, b) in enumerate(zip(left, right, strict=True)) if a != b]
        while len(changed) > 1:
            half, rest = changed[: len(changed) // 2], changed[len(changed) // 2 :]
            middle = self._normal(
                tuple(b if n in half else a for n, (a, b) in enumerate(zip(left, right, strict=True)))
            )
            found = self._build(middle)
            if found is None or spot not in found:
                return  # What lies between isn't there to be asked.
            if middle != right and found[spot].arguments == arguments:
                left, changed = middle, rest
            else:
                right, changed = middle, half
        self._given.setdefault(path, set()).update(changed)

    def _giving(self, sight: Sight) -> set[int]:
        """The axes that change what is given to a call, or to one that it is inside of."""
        return set().union(*(self._given.get(outer.path, ()) for outer in sight.chain()))

    # What these ask for

    def _wishes(self) -> Iterator[Wish]:
        yield from self._together()
        yield from self._arguments()
        yield from self._dependent()

    def _together(self) -> Iterator[Wish]:
        """All that acts on the same tensors: settings and kinds of the calls that build them, and what enlarges."""
        asked: set[tuple[tuple[int, ...], tuple[tuple[int, int], ...]]] = set()
        for sight, full in list(self._first.values()):
            chain = set(self._of_chain(sight, full))
            for outer in sight.chain():
                chain |= self._turns.get(outer.design, set())
            settings, sizes = self._own(sight, full, False), self._own(sight, full, True)
            # A count of paths makes what each is given larger only where they share: settings meet sizes.
            for group in (chain | self._acts.get(sight.design, set()), chain | sizes if settings else settings):
                above = {parent for number in group for parent in self._above(number)}
                free = tuple(sorted(group - above))
                around = {**self._around(sight, full), **{number: full[number] for number in above}}
                # Packed with what takes a narrower width, it would be seen, but not at its largest.
                wide = {number: self._usual[number] for number in self._giving(sight) - around.keys() - group}
                pinned = tuple(sorted((number, option) for number, option in around.items() if number not in free))
                usual = all(option == self._usual[number] for number, option in around.items() if number not in above)
                if free and not (usual and len(free) == 1) and (free, pinned) not in asked:
                    asked.add((free, pinned))
                    for row in self._products(free):
                        yield from self._wish(self._consistent({**wide, **dict(pinned), **row}))

    def _arguments(self) -> Iterator[Wish]:
        """All that parts are given whose weights depend on it."""
        asked: set[tuple[tuple[int, ...], tuple[tuple[int, int], ...]]] = set()
        for sight, full in list(self._first.values()):
            axes = tuple(sorted(self._giving(sight)))
            if not axes or not sight.kind:
                continue
            around = self._around(sight, full)
            around |= {} if sight.outer is None else self._of_chain(sight.outer, full)
            pinned = {number: option for number, option in around.items() if number not in axes}
            what = (axes, tuple(sorted(pinned.items())))
            if what not in asked:
                asked.add(what)
                for row in self._products(axes, 3):
                    yield from self._wish({**pinned, **row})

    def _dependent(self) -> Iterator[Wish]:
        """Each part whose weights depend on what it is given, with all inside of it, given what makes a difference.

        And every other part given the most that it can be.
        """
        for (place, of, settings, _), (sight, outer, full) in list(self._configured.items()):
            known = self._known[outer.spot]
            # What a part holds may change the names of its own tensors: then each of these is another one.
            acts = self._acts.get(sight.design, set()) - self._own(sight, full, True) - self._own(outer, full, True)
            acting = {number: full[number] for number in acts - self._giving(outer)}
            for arguments in sorted(known, key=_flat, reverse=True):
                kind = "" if not outer.kind else kind_of(outer.part, arguments) if settings else str(arguments)
                served = self._is_served((place, of, kind), (arguments, *outer.given()[1:]), acting)
                if not served():
                    row = {
                        **self._around(sight, full),
                        **acting,
                        **self._of_chain(outer, full),
                        **self._of_chain(sight, full),
                    }
                    for part in sight.chain():
                        row |= {number: full[number] for number in self._own(part, full, True) if part.kind}
                    source = known[arguments]
                    for number in sorted(self._giving(outer)):
                        if in_force(self._axes, dict(enumerate(source)), number):
                            row.setdefault(number, source[number])
                    yield from self._wish(row, served)

    def _is_served(self, what: tuple[str, str, str], wanted: Arguments, acting: Row) -> Callable[[], bool]:
        def served() -> bool:
            return any(
                _within(wanted, given) and all(full[number] == option for number, option in acting.items())
                for full, given in self._served.get(what, {}).items()
            )

        return served

    def _wish(self, row: Row, served: Callable[[], bool] | None = None) -> Iterator[Wish]:
        closed = self._closed(row)
        if closed is not None:
            wanted = tuple(sorted(closed.items()))
            yield Wish(wanted, served or (lambda: self._has(wanted)))

    def _has(self, wanted: tuple[tuple[int, int], ...]) -> bool:
        return any(
            found is not None and all(full[number] == option for number, option in wanted)
            for full, found in self._built.items()
        )

    def _grant(self, wishes: list[Wish]) -> None:
        """Build networks that each have as many of the wishes as go together; what failed so is built alone."""
        while wishes:
            first = wishes.pop(0)
            if first.served():
                continue
            row, rest = dict(first.row), []
            again = first in self._tried
            self._tried[first] = self._tried.get(first, 0) + 1
            for wish in wishes:
                if (
                    again
                    or wish in self._tried
                    or any(row.get(number, option) != option for number, option in wish.row)
                ):
                    rest.append(wish)
                elif not wish.served():
                    row |= dict(wish.row)
                    self._tried[wish] = 1
            wishes = rest
            full = self._full(row)
            if full is not None:
                self._build(full)

    # Axes

    def _products(self, axes: tuple[int, ...], strength: int = 2) -> Iterable[Row]:
        """All combinations of the options of some axes, or, where these are many, of two or three of the axes."""
        counts = [range(len(self._axes[number].labels)) for number in axes]
        if prod(map(len, counts)) <= PRODUCT:
            for options in product(*counts):
                yield self._consistent(dict(zip(axes, options, strict=True)))
        elif strength == 2:
            for pair in combinations(axes, 2):
                for options in product(*(range(len(self._axes[number].labels)) for number in pair)):
                    yield self._consistent(dict(zip(pair, options, strict=True)))
        else:
            for row in covered(self._axes, list(axes), {}, 3):
                yield self._consistent({number: row[number] for number in axes})

    def _consistent(self, row: Row) -> Row:
        """The row without options of kinds that it doesn't take."""
        whole = {**dict(enumerate(self._usual)), **row}
        return {
            number: option
            for number, option in row.items()
            if not any(parent in row for parent in self._above(number)) or in_force(self._axes, whole, number)
        }

    def _above(self, number: int) -> Iterator[int]:
        while (parent := self._axes[number].parent) is not None:
            yield parent
            number = parent

    def _found(self, index: dict[str, set[int]], path: str, full: Full) -> set[int]:
        """The axes that an index has under a path, those in force alone."""
        for prefix in self._shared:
            if path.startswith(f"{prefix}."):
                # All places of a shared repetition are one decision.
                path = f"{prefix}.*" + re.sub(r"^\d+", "", path[len(prefix) + 1 :])
        row = dict(enumerate(full))
        return {number for number in index.get(path, ()) if in_force(self._axes, row, number)}

    def _of_chain(self, sight: Sight, full: Full) -> Row:
        """The choices of the calls that a tensor is built inside of, and of their settings that aren't shared."""
        found: set[int] = set()
        for outer in sight.chain():
            found |= self._found(self._at, outer.path or "network", full) | self._own(outer, full, False)
        return {number: full[number] for number in found}

    def _around(self, sight: Sight, full: Full) -> Row:
        """What a call needs besides its chain to be made, with the usual sizes of its part."""
        row = {number: self._usual[number] for number in self._own(sight, full, True)}
        for outer in sight.chain():
            row |= {number: full[number] for number in self._makes.get(outer.spot, ())}
        return {number: row[number] for number in row if in_force(self._axes, dict(enumerate(full)), number)}

    def _own(self, sight: Sight, full: Full, sizes: bool) -> set[int]:
        """The axes of a part's settings, with or without those that are shared as sizes, and numbers of parts in it."""
        found: set[int] = set()
        for name in fields_of(sight.part):
            path = f"{sight.path}.{name}" if sight.path else name
            if name not in sight.part._slots:
                if sizes or name not in shared_fields(sight.part):
                    found |= self._found(self._below, path, full)
            elif sizes:
                found |= self._found(self._at, f"{path}.count", full)
        return found


def sights(frames: list[Frame], views: list[TensorView]) -> dict[str, Sight]:
    """The calls that built a network, by their spots, with the tensors that each made."""
    found: dict[str, Sight] = {}
    of: dict[int, Sight] = {}
    keys: dict[str, Sight] = {}
    calls: Counter[tuple[int, str]] = Counter()
    for frame in frames:
        outer = None if frame.outer is None else of[id(frame.outer)]
        count = calls[id(outer), frame.path]
        calls[id(outer), frame.path] += 1
        spot = ("" if outer is None else f"{outer.place}>") + f"{frame.path}#{count}"
        place = f"{spot}[{_settings(frame.part, True)}]"
        kind = kind_of(frame.part, frame.arguments) if tells_apart(type(frame.part)) else ""
        sight = Sight(frame.part, frame.arguments, frame.path, spot, place, kind, outer)
        found[spot] = of[id(frame)] = keys[frame.key.replace(".", "/")] = sight
    for view in views:
        key, _, name = view.key.rpartition(":")
        keys[key].tensors[name] = view.larger(keys[key].tensors.get(name, ()))
    return found


def _settings(part: Part, without_sizes: bool) -> str:
    names = [name for name in fields_of(part) if name not in part._slots]
    kept = [name for name in names if not (without_sizes and name in shared_fields(part))]
    return ",".join([part.name, *(f"{name}={getattr(part, name)}" for name in kept)])


def _joint(sights: list[Sight]) -> str:
    return ">".join(f"{sight.place}{_settings(sight.part, False)}" for sight in sights)


def _acted(before: Sight, after: Sight) -> bool:
    """Whether the own tensors are others, or larger."""
    if set(before.tensors) != set(after.tensors):
        return True
    return any(a > b for name in after.tensors for a, b in zip(after.tensors[name], before.tensors[name], strict=True))


def _more(before: dict[str, Sight], after: dict[str, Sight]) -> bool:
    """Whether some part is given more than before, and none less."""
    pairs = [(before[spot].arguments, after[spot].arguments) for spot in before.keys() & after.keys()]
    return all(_within(old, new) for old, new in pairs) and any(old != new for old, new in pairs)


def _within(small: Arguments, large: Arguments) -> bool:
    """Whether arguments of one form have no number that is larger in the first."""
    left, right = _flat(small), _flat(large)
    return len(left) == len(right) and all(a <= b for a, b in zip(left, right, strict=True))


def _flat(value: Any) -> tuple[float, ...]:
    """All numbers in nested tuples, in order."""
    if isinstance(value, tuple):
        return tuple(number for item in value for number in _flat(item))
    return (value,) if isinstance(value, int | float) else ()

"""A tree with holes, compiled: the list of its decisions, and nodes that draw, count, build and read architectures.

An architecture's *genes* are one integer per decision, in the order of the tree: the index of the chosen option, or
`INACTIVE` where an earlier choice made the decision void. Each node owns one contiguous range of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import prod
from typing import Any

from search_spaces.errors import SpaceError
from search_spaces.holes import OneOf, Repeat
from search_spaces.parts import Part, fields_of, has_holes, told

INACTIVE = -1
MEMO = 4096
"""Sub-trees of at most this many architectures are built once and shared by all that contain them."""


@dataclass(frozen=True)
class Decision:
    """One choice that a search space leaves open.

    `path` says where in the tree; two decisions may share it when they are never active together. `parent` is the
    index of the decision that must have taken one of `parent_options` for this one to be active. `kind` is what the
    field that it fills says its numbers are (`parts.size`: a width, kernel, number of heads …), "depth" of a count of
    repetitions, empty where nothing is said.
    """

    path: str
    options: tuple[Any, ...]
    ordered: bool
    parent: int | None = None
    parent_options: frozenset[int] = frozenset()
    kind: str = ""


Pick = Callable[[int, int], int]
"""Given a decision's index and its number of options, the index of the option to take."""


class Node(ABC):
    """A sub-tree: `start` and `stop` bound its genes, `size` counts its architectures."""

    start: int
    stop: int
    size: int

    @abstractmethod
    def draw(self, genes: list[int], pick: Pick) -> None:
        """Set the active genes of the sub-tree by asking `pick` for each, in order."""

    @abstractmethod
    def unrank(self, index: int, genes: list[int]) -> None:
        """Set the active genes to those of architecture number `index` of `size`."""

    @abstractmethod
    def value(self, genes: Sequence[int]) -> Any:
        """The sub-tree that the genes describe."""

    @abstractmethod
    def read(self, value: Any, genes: list[int]) -> bool:
        """Set the genes that describe `value`; False, with the genes untouched, when it isn't in the sub-tree."""


@dataclass
class Constant(Node):
    """A sub-tree without holes."""

    constant: Any
    start: int
    stop: int
    size: int = 1

    def draw(self, genes: list[int], pick: Pick) -> None:
        """Nothing is open."""

    def unrank(self, index: int, genes: list[int]) -> None:
        """There is only one."""

    def value(self, genes: Sequence[int]) -> Any:
        return self.constant

    def read(self, value: Any, genes: list[int]) -> bool:
        return type(value) is type(self.constant) and bool(value == self.constant)


@dataclass
class Product(Node):
    """A part (`cls` with named fields) or a tuple (`cls` is None): every child is chosen independently."""

    cls: type[Part] | None
    names: tuple[str, ...]
    children: tuple[Node, ...]
    start: int
    stop: int
    memo: dict[tuple[int, ...], Any]
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = prod(child.size for child in self.children)
        self._validates = self.cls is not None and self.cls.validate is not Part.validate

    def draw(self, genes: list[int], pick: Pick) -> None:
        for child in self.children:
            child.draw(genes, pick)

    def unrank(self, index: int, genes: list[int]) -> None:
        for child in reversed(self.children):
            index, position = divmod(index, child.size)
            child.unrank(position, genes)

    def value(self, genes: Sequence[int]) -> Any:
        if self.size > MEMO:
            return self._make(genes)
        key = tuple(genes[self.start : self.stop])
        if key not in self.memo:
            self.memo[key] = self._make(genes)
        return self.memo[key]

    def _make(self, genes: Sequence[int]) -> Any:
        values = [child.value(genes) for child in self.children]
        if self.cls is None:
            return tuple(values)
        # Strings were resolved when the tree was written, so the constructor's checks need not run again.
        made = object.__new__(self.cls)
        made.__dict__.update(zip(self.names, values, strict=True))
        if self._validates:
            made.validate()
        return made

    def read(self, value: Any, genes: list[int]) -> bool:
        if self.cls is None:
            if type(value) is not tuple or len(value) != len(self.children):
                return False
            items: Sequence[Any] = value
        elif type(value) is self.cls:
            items = [getattr(value, name) for name in self.names]
        else:
            return False
        for child, item in zip(self.children, items, strict=True):
            if not child.read(item, genes):
                clear(genes, self.start, self.stop)
                return False
        return True


@dataclass
class Choice(Node):
    """One of several sub-trees, by the decision at `start`."""

    options: tuple[Node, ...]
    start: int
    stop: int
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = sum(option.size for option in self.options)
        self._constants: dict[Any, int] = {}
        for i, option in enumerate(self.options):
            if isinstance(option, Constant):
                self._constants[_typed(option.constant)] = i

    def draw(self, genes: list[int], pick: Pick) -> None:
        chosen = genes[self.start] = pick(self.start, len(self.options))
        self.options[chosen].draw(genes, pick)

    def unrank(self, index: int, genes: list[int]) -> None:
        for i, option in enumerate(self.options):
            if index < option.size:
                genes[self.start] = i
                option.unrank(index, genes)
                return
            index -= option.size
        raise IndexError(index)

    def value(self, genes: Sequence[int]) -> Any:
        return self.options[genes[self.start]].value(genes)

    def read(self, value: Any, genes: list[int]) -> bool:
        constant = self._constants.get(_typed(value))
        if constant is not None:
            genes[self.start] = constant
            return True
        for i, option in enumerate(self.options):
            if not isinstance(option, Constant) and option.read(value, genes):
                genes[self.start] = i
                return True
        return False


@dataclass
class Repetition(Node):
    """A tuple of up to `len(items)` sub-trees; `counts` are the lengths allowed, chosen at `start` if several.

    A shared repetition has a single item, which all places hold.
    """

    counts: tuple[int, ...]
    items: tuple[Node, ...]
    shared: bool
    start: int
    stop: int
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self._sizes = [self._size(count) for count in self.counts]
        self.size = sum(self._sizes)

    def _size(self, count: int) -> int:
        return prod(item.size for item in self._active(count))

    def _active(self, count: int) -> tuple[Node, ...]:
        return self.items[: min(count, 1)] if self.shared else self.items[:count]

    def _count(self, genes: Sequence[int]) -> int:
        return self.counts[genes[self.start]] if len(self.counts) > 1 else self.counts[0]

    def draw(self, genes: list[int], pick: Pick) -> None:
        if len(self.counts) > 1:
            genes[self.start] = pick(self.start, len(self.counts))
        for item in self._active(self._count(genes)):
            item.draw(genes, pick)

    def unrank(self, index: int, genes: list[int]) -> None:
        for i, end in enumerate(accumulate(self._sizes)):
            if index < end:
                index -= end - self._sizes[i]
                break
        if len(self.counts) > 1:
            genes[self.start] = i
        for item in reversed(self._active(self.counts[i])):
            index, position = divmod(index, item.size)
            item.unrank(position, genes)

    def value(self, genes: Sequence[int]) -> Any:
        count = self._count(genes)
        if self.shared:
            return (self.items[0].value(genes),) * count if count else ()
        return tuple([item.value(genes) for item in self.items[:count]])

    def read(self, value: Any, genes: list[int]) -> bool:
        if type(value) is not tuple or len(value) not in self.counts:
            return False
        if self.shared and any(item != value[0] for item in value):
            return False
        if len(self.counts) > 1:
            genes[self.start] = self.counts.index(len(value))
        for item, inner in zip(self._active(len(value)), value, strict=False):
            if not item.read(inner, genes):
                clear(genes, self.start, self.stop)
                return False
        return True


def clear(genes: list[int], start: int, stop: int) -> None:
    """Mark a range of genes as inactive."""
    genes[start:stop] = [INACTIVE] * (stop - start)


class Compiler:
    """Turns a tree with holes into nodes, numbering the decisions on the way."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self._memos: dict[int, dict[tuple[int, ...], Any]] = {}

    def node(
        self, tree: Any, path: str, parent: int | None = None, when: frozenset[int] = frozenset(), kind: str = ""
    ) -> Node:
        """The node for `tree`, whose decisions are active when decision `parent` takes an option of `when`.

        `kind` is what the field that the tree stands in says of its numbers.
        """
        start = len(self.decisions)
        if isinstance(tree, OneOf):
            return self._choice(tree, path, parent, when, kind)
        if isinstance(tree, Repeat):
            return self._repetition(tree, path, parent, when)
        if not has_holes(tree):
            return Constant(tree, start, start)
        prefix = f"{path}." if path else ""
        if isinstance(tree, Part):
            names = fields_of(tree)
            children = tuple(
                self.node(getattr(tree, name), prefix + name, parent, when, told(tree, name).get("size", ""))
                for name in names
            )
            return Product(type(tree), names, children, start, len(self.decisions), self._memo(tree))
        children = tuple(self.node(item, f"{prefix}{i}", parent, when) for i, item in enumerate(tree))
        return Product(None, (), children, start, len(self.decisions), self._memo(tree))

    def _memo(self, tree: Any) -> dict[tuple[int, ...], Any]:
        # Repetitions of one sub-tree have genes of the same form, and so share what was built from them.
        return self._memos.setdefault(id(tree), {})

    def _choice(self, tree: OneOf, path: str, parent: int | None, when: frozenset[int], kind: str) -> Node:
        start = len(self.decisions)
        if len(tree.options) == 1:
            return self.node(tree.options[0], path, parent, when, kind)
        self.decisions.append(Decision(path or "network", tree.options, tree.ordered, parent, when, kind))
        options = tuple(self.node(option, path, start, frozenset([i]), kind) for i, option in enumerate(tree.options))
        for i, left in enumerate(options):
            for j in range(i):
                if overlap(left, options[j]):
                    message = f"options {j + 1} and {i + 1} of one_of() can be the same architecture; make them differ"
                    raise SpaceError(message, path or "network")
        return Choice(options, start, len(self.decisions))

    def _repetition(self, tree: Repeat, path: str, parent: int | None, when: frozenset[int]) -> Node:
        start = len(self.decisions)
        counts = tree.count.options if isinstance(tree.count, OneOf) else (tree.count,)
        if len(set(counts)) < len(counts):
            raise SpaceError(f"repeat() lists a count twice: {counts}", path)
        if len(counts) > 1:
            self.decisions.append(Decision(f"{path}.count", counts, True, parent, when, "depth"))
        items = []
        for i in range(min(max(counts), 1) if tree.shared else max(counts)):
            needs = frozenset(n for n, count in enumerate(counts) if count > i)
            always = len(counts) == 1
            where = f"{path}.*" if tree.shared else f"{path}.{i}"
            items.append(self.node(tree.item, where, parent if always else start, when if always else needs))
        return Repetition(counts, tuple(items), tree.shared, start, len(self.decisions))


def overlap(left: Node, right: Node) -> bool:
    """Whether some architecture belongs to both sub-trees; may say yes too often only for shared repetitions."""
    if isinstance(left, Choice):
        return any(overlap(option, right) for option in left.options)
    if isinstance(right, Choice):
        return overlap(right, left)
    if isinstance(left, Constant):
        return right.read(left.constant, [INACTIVE] * right.stop)
    if isinstance(right, Constant):
        return overlap(right, left)
    if isinstance(left, Repetition) or isinstance(right, Repetition):
        return any(_overlap_at(left, right, count) for count in _lengths(left) & _lengths(right))
    assert isinstance(left, Product) and isinstance(right, Product)
    if left.cls is not right.cls or len(left.children) != len(right.children):
        return False
    return all(overlap(a, b) for a, b in zip(left.children, right.children, strict=True))


def _lengths(node: Node) -> set[int]:
    if isinstance(node, Repetition):
        return set(node.counts)
    return {len(node.children)} if isinstance(node, Product) and node.cls is None else set()


def _overlap_at(left: Node, right: Node, count: int) -> bool:
    return all(overlap(_item(left, i), _item(right, i)) for i in range(count))


def _item(node: Node, index: int) -> Node:
    if isinstance(node, Repetition):
        return node.items[0] if node.shared else node.items[index]
    assert isinstance(node, Product)
    return node.children[index]


def _typed(value: Any) -> Any:
    # 1, 1.0 and True are equal and hash alike, but are different options.
    return (type(value), value)

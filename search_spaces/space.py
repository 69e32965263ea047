"""Search spaces: what controllers see of one, and the one that every tree with holes compiles to."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Any, Literal

from search_spaces import canonical
from search_spaces.decisions import INACTIVE, Compiler, Decision, Pick, clear
from search_spaces.errors import SpaceError
from search_spaces.holes import OneOf
from search_spaces.parts import Part

TRIES = 1000
"""Draws that a space with rules makes before it says that nothing is left."""
WANDER = 50
"""Architectures that `around` gives after the first, where the space can't be looked at as a whole."""
LONG = 8
"""Numbers that a scale has at most of which mutation takes any other equally often."""
NEAR = 3
"""Steps that a mutation goes along a longer scale when it stays near."""
COUNTABLE = 200_000
"""A space with rules is counted by enumeration up to this size."""

Genes = tuple[int, ...]
Uniform = Literal["decisions", "architectures"]


class SearchSpace(ABC):
    """The contract that controllers search on: a fixed list of decisions, and architectures as their genes.

    `genes(architecture)` is the fixed-length encoding: one option index per decision, `INACTIVE` (-1) where the
    decision is void. Implementations are immutable and may be shared among threads.
    """

    name: str = "space"
    decisions: tuple[Decision, ...]

    @abstractmethod
    def genes(self, architecture: Any) -> Genes:
        """The encoding of an architecture of this space; raises `SpaceError` for any other."""

    @abstractmethod
    def architecture(self, genes: Genes) -> Any:
        """The architecture that the genes encode."""

    @abstractmethod
    def size(self) -> int | None:
        """How many architectures there are, exactly; None where rules make that unknowable in reasonable time."""

    @abstractmethod
    def sample(self, seed: int | str | Random = 0, uniform: Uniform = "decisions") -> Any:
        """One random architecture; every decision, or every architecture, is equally likely."""

    @abstractmethod
    def enumerate(self) -> Iterator[Any]:
        """All architectures, each once, in a fixed order."""

    @abstractmethod
    def mutate(self, architecture: Any, rng: Random) -> Any:
        """An architecture that differs in one decision (and in what depends on it)."""

    @abstractmethod
    def crossover(self, mother: Any, father: Any, rng: Random) -> Any:
        """An architecture that takes each decision from one of two."""

    @abstractmethod
    def neighbours(self, architecture: Any) -> Iterator[Any]:
        """The architectures nearest to this one, each once, in a fixed order."""

    def around(self, genes: Genes, rng: Random) -> Iterator[Any]:
        """The architecture that the genes stand for, then others farther and farther from it, `WANDER` at most.

        Genes that a rule bans give nothing.
        """
        try:
            architecture = self.architecture(genes)
            self.genes(architecture)
        except SpaceError:
            return
        yield architecture
        for _ in range(WANDER if self.decisions else 0):
            architecture = self.mutate(architecture, rng)
            yield architecture

    def __contains__(self, architecture: Any) -> bool:
        try:
            self.genes(architecture)
        except SpaceError:
            return False
        return True

    def traits(self, architecture: Any) -> dict[str, float]:
        """Numbers that say what the architecture is like beyond its decisions one by one (`Part.traits`)."""
        return architecture.traits() if isinstance(architecture, Part) else {}

    def digest(self, architecture: Any) -> str:
        """The identity of the network: equal for two spellings of one."""
        return canonical.digest(architecture)

    def to_json(self, architecture: Any) -> canonical.JSON:
        """The architecture as JSON values."""
        return canonical.to_json(architecture)

    def to_text(self, architecture: Any) -> str:
        """The architecture as the text of its JSON form."""
        return json.dumps(self.to_json(architecture))

    def from_json(self, value: canonical.JSON) -> Any:
        """The architecture that `to_json` wrote."""
        return canonical.from_json(value)

    def key(self, architecture: Any) -> dict[str, Any]:
        """Column names and values that find the architecture's row in a benchmark table."""
        key = getattr(architecture, "key", None)
        if key is None:
            raise SpaceError(f"architectures of '{self.name}' have no key to find a row of a table by")
        return key()

    def active(self, architecture: Any) -> dict[str, Any]:
        """The decisions that are in force, path by path, with the label of the option taken."""
        pairs = zip(self.decisions, self.genes(architecture), strict=True)
        return {d.path: canonical.outline(d.options[gene]) for d, gene in pairs if gene != INACTIVE}

    def fingerprint(self) -> str:
        """Changes when the decisions or their options do; tells a study that it is resumed on another space."""
        text = repr([(d.path, tuple(map(canonical.outline, d.options)), d.parent) for d in self.decisions])
        return sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Rule:
    """A region of a space that is banned: architectures for which `holds` is false."""

    holds: Callable[[Any], bool]
    reason: str


class Space(SearchSpace):
    """The search space that a tree with holes is. Compiled once; immutable; `where` gives a new one."""

    def __init__(self, tree: Any, name: str = "space", rules: tuple[Rule, ...] = ()) -> None:
        self.tree = tree
        self.name = name
        self.rules = rules
        compiler = Compiler()
        self._root = compiler.node(tree, "")
        self.decisions = tuple(compiler.decisions)

    def where(self, holds: Callable[[Any], bool], reason: str = "") -> "Space":
        """This space without the architectures for which `holds` is false."""
        return Space(self.tree, self.name, (*self.rules, Rule(holds, reason or getattr(holds, "__name__", "rule"))))

    def named(self, name: str) -> "Space":
        """This space under another name."""
        return Space(self.tree, name, self.rules)

    def to_text(self, architecture: Any) -> str:
        return canonical.text(architecture)

    def allows(self, architecture: Any) -> bool:
        """Whether every rule holds."""
        return all(rule.holds(architecture) for rule in self.rules)

    def genes(self, architecture: Any) -> Genes:
        genes = [INACTIVE] * len(self.decisions)
        if not self._root.read(architecture, genes):
            raise SpaceError(
                f"the architecture isn't in the space '{self.name}': {canonical.outline(architecture)[:200]}"
            )
        if not self.allows(architecture):
            broken = next(rule.reason for rule in self.rules if not rule.holds(architecture))
            raise SpaceError(f"the architecture is banned from the space '{self.name}' by the rule: {broken}")
        return tuple(genes)

    def architecture(self, genes: Genes) -> Any:
        return self._root.value(genes)

    def drawn(self, pick: Pick) -> Any:
        """The architecture that takes the option `pick(decision, options)` of each decision in force, rules or not."""
        genes = [INACTIVE] * len(self.decisions)
        self._root.draw(genes, pick)
        return self.architecture(tuple(genes))

    def size(self) -> int | None:
        if not self.rules:
            return self._root.size
        return sum(1 for _ in self.enumerate()) if self._root.size <= COUNTABLE else None

    def sample(self, seed: int | str | Random = 0, uniform: Uniform = "decisions") -> Any:
        rng = seed if isinstance(seed, Random) else Random(seed)
        return self._bounded(lambda: self._draw(rng, uniform))

    def _draw(self, rng: Random, uniform: Uniform) -> Genes:
        genes = [INACTIVE] * len(self.decisions)
        if uniform == "architectures":
            self._root.unrank(rng.randrange(self._root.size), genes)
        else:
            self._root.draw(genes, lambda _, options: int(rng.random() * options))
        return tuple(genes)

    def _bounded(self, draw: Callable[[], Genes]) -> Any:
        if not self.rules:
            return self.architecture(draw())
        for _ in range(TRIES):
            architecture = self.architecture(draw())
            if self.allows(architecture):
                return architecture
        reasons = "; ".join(rule.reason for rule in self.rules)
        raise SpaceError(f"nothing is left of the space '{self.name}' in {TRIES} draws; loosen a rule ({reasons})")

    def enumerate(self) -> Iterator[Any]:
        for index in range(self._root.size):
            genes = [INACTIVE] * len(self.decisions)
            self._root.unrank(index, genes)
            architecture = self.architecture(tuple(genes))
            if self.allows(architecture):
                yield architecture

    def mutate(self, architecture: Any, rng: Random) -> Any:
        genes = self.genes(architecture)
        active = [i for i, gene in enumerate(genes) if gene != INACTIVE]
        if not active:
            raise SpaceError(f"the space '{self.name}' leaves nothing to decide, so nothing to mutate")

        def draw() -> Genes:
            index = rng.choice(active)
            option = _other(self.decisions[index], genes[index], rng)
            return self._with(genes, index, option, lambda _, n: int(rng.random() * n))

        return self._bounded(draw)

    def _with(self, genes: Genes, index: int, option: int, fresh: Pick) -> Genes:
        """The genes with one option changed; what that makes active is taken over by path, or else from `fresh`."""
        by_path = {
            (d.path, len(d.options)): gene for d, gene in zip(self.decisions, genes, strict=True) if gene != INACTIVE
        }

        def pick(i: int, options: int) -> int:
            if i == index:
                return option
            if genes[i] != INACTIVE:
                return genes[i]
            known = by_path.get((self.decisions[i].path, options))
            return fresh(i, options) if known is None else known

        changed = [INACTIVE] * len(genes)
        self._root.draw(changed, pick)
        return tuple(changed)

    def crossover(self, mother: Any, father: Any, rng: Random) -> Any:
        parents = (self.genes(mother), self.genes(father))

        def pick(index: int, options: int) -> int:
            genes = [parent[index] for parent in parents if parent[index] != INACTIVE]
            return rng.choice(genes) if genes else int(rng.random() * options)

        def draw() -> Genes:
            child = [INACTIVE] * len(self.decisions)
            self._root.draw(child, pick)
            return tuple(child)

        return self._bounded(draw)

    def neighbours(self, architecture: Any) -> Iterator[Any]:
        genes = self.genes(architecture)
        for index, gene in enumerate(genes):
            if gene == INACTIVE:
                continue
            for option in range(len(self.decisions[index].options)):
                if option == gene:
                    continue
                neighbour = self.architecture(self._with(genes, index, option, lambda _, __: 0))
                if self.allows(neighbour):
                    yield neighbour


def _other(decision: Decision, gene: int, rng: Random) -> int:
    """Another option than `gene`; of a long scale, half of the times one that is near."""
    options = len(decision.options)
    if options > LONG and decision.ordered and rng.random() < 0.5:
        first = max(0, gene - NEAR)
        option = first + int(rng.random() * (min(options - 1, gene + NEAR) - first))
        return option + (option >= gene)
    return (gene + 1 + int(rng.random() * (options - 1))) % options


def as_space(value: Any, name: str) -> SearchSpace:
    """What a registry of spaces or a user's file gives, as a search space: a space, a tree, or a function of none."""
    if callable(value) and not isinstance(value, SearchSpace | Part):
        value = value()
    if isinstance(value, SearchSpace):
        if isinstance(value, Space) and value.name == "space":
            return value.named(name)
        return value
    if isinstance(value, Part | OneOf):
        return Space(value, name)
    raise SpaceError(f"'{name}' is a {type(value).__name__}; a search space is a tree of parts with holes")


__all__ = ["INACTIVE", "Decision", "Genes", "Rule", "SearchSpace", "Space", "as_space", "clear"]

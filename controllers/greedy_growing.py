"""Greedy growing: a small core is trained first, and grows step by step where that brings most for what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from archfront.contracts import Constraint, Evaluation, Objective, Proposal, WrongUse
from controllers.archive import Member
from controllers.base import CONTROLLERS, Controller
from search_spaces.canonical import diff
from search_spaces.decisions import Decision
from search_spaces.edits import check_reachable
from search_spaces.errors import SpaceError
from search_spaces.parts import without_recipe
from search_spaces.space import SearchSpace, Space

DRAWS = 32
"""Cores one of which must be able to grow, or the space is refused."""
LEAST = 0.01
"""A growth that costs less than this share of what was there counts as if it cost that much."""


@dataclass(frozen=True)
class Growing:
    """A network that edits lead to from another, and which of its fields grows."""

    architecture: Any
    digest: str
    text: str


@CONTROLLERS.register("greedy-growing", source="Greedy Growing Enables High-Resolution Pixel-Based Diffusion Models")
class GreedyGrowing(Controller):
    """Grows the smallest networks of a space: wider, deeper, larger kernels, each step the best of a few growths.

    Growths are those of the architecture edits, so that with the evaluator's setting `inherit=parent` each network is
    trained on from the core that it grew around. The growth with the largest gain in the first objective per cost is
    taken: per relative increase of the other objectives, or of the metric `cost` where there is one objective only.
    Where nothing gains, the one that loses least is taken; where constraints leave none, the best network that can
    still grow goes on. The paper grows encoder and decoder around a core by hand; where to is chosen here.

    Args:
        start: cores, the smallest networks with kinds drawn at random, the best of which grows.
        tried: growths that are evaluated in each step.
        cost: the metric that is the cost beside a single objective; every growth costs the same where it is missing.
    """

    tries = 8  # all fresh growths of a core are looked at each time

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        start: int = 2,
        tried: int = 6,
        cost: str = "params",
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        if start < 1 or tried < 1:
            raise WrongUse("greedy-growing needs start and tried of 1 or more")
        self._start, self._tried, self._cost = start, tried, cost
        self._growths: dict[str, list[Growing]] = {}
        self._roots: list[Member] = []
        self._members: dict[str, Member] = {}
        self._outcomes: dict[str, list[Member | None]] = {}
        if not any(self._grown_from(smallest(space, Random(number))) for number in range(DRAWS)):
            raise WrongUse(
                f"the space '{space.name}' has no networks that grow in width, depth, expansion or kernel, which "
                "greedy-growing needs; try --space mobile"
            )

    def propose(self, rng: Random) -> Proposal:
        core = smallest(self.space, rng)
        found = self.proposal(core, "core")
        if self._asked < self._start and found.digest not in self._architectures:
            return found
        parent = self._core()
        fresh = [] if parent is None else self._fresh(parent)
        if parent is None or not fresh:
            return self.proposal(self.space.sample(rng), "random")
        growth = rng.choice(fresh)
        return Proposal(growth.architecture, growth.digest, None, (parent,), growth.text)

    def observe(self, evaluation: Evaluation) -> None:
        proposal = evaluation.proposal
        member = self.archive.member(evaluation)
        if member is not None:
            self._members[member.digest] = member
            if proposal.origin == "core":
                self._roots.append(member)
        if proposal.parents:
            self._outcomes.setdefault(proposal.parents[0], []).append(member)

    def _core(self) -> str | None:
        """The network to grow now: that at the end of the growths taken so far, or the best that can still grow."""
        if not self._roots:
            return next(iter(self._architectures), None)
        core = min(self._roots, key=_quality)
        while not self._looking(core.digest):
            taken = self._taken(core)
            if taken is None:
                return self._best_that_grows()
            core = taken
        return core.digest

    def _looking(self, digest: str) -> bool:
        """Whether further growths of this core are to be evaluated before one is taken."""
        return len(self._outcomes.get(digest, ())) < self._tried and bool(self._fresh(digest))

    def _taken(self, core: Member) -> Member | None:
        """The growth with the largest gain per cost, else the one that loses least; None where none can be taken."""
        known = [member for member in self._outcomes.get(core.digest, ()) if member is not None]
        kept = [member for member in known if member.excess == 0 or member.excess < core.excess]
        if not kept:
            return None

        def worth(member: Member) -> float:
            gain = core.losses[0] - member.losses[0]
            return gain / self._price(core, member) if gain > 0 else gain

        return max(kept, key=worth)

    def _price(self, core: Member, grown: Member) -> float:
        """By which share the other objectives, or else the metric `cost`, became worse."""
        pairs = list(zip(core.losses[1:], grown.losses[1:], strict=True))
        if not pairs:
            pairs = [(core.values.get(self._cost, 0.0), grown.values.get(self._cost, 0.0))]
        return max(LEAST, sum((after - before) / abs(before) for before, after in pairs if before))

    def _best_that_grows(self) -> str | None:
        ordered = sorted(self._members.values(), key=_quality)
        return next((member.digest for member in ordered if self._fresh(member.digest)), None)

    def _fresh(self, digest: str) -> list[Growing]:
        if digest not in self._growths:
            self._growths[digest] = self._grown_from(self.architecture(digest))
        return [growth for growth in self._growths[digest] if growth.digest not in self._architectures]

    def _grown_from(self, architecture: Any) -> list[Growing]:
        """What an edit makes of a network within the space, of each size the next larger one alone."""
        genes = self.space.genes(architecture)
        found: dict[tuple[int, int], tuple[float, Any]] = {}
        for neighbour in self.space.neighbours(architecture):
            if not _grows(architecture, neighbour):
                continue
            changed, gene = _first_change(genes, self.space.genes(neighbour))
            decision = self.space.decisions[changed]
            size = float(decision.options[gene]) if decision.ordered else 0.0
            key = (changed, 0 if decision.ordered else gene)
            if key not in found or size < found[key][0]:
                found[key] = size, neighbour
        grown = (neighbour for _, neighbour in found.values())
        return [Growing(a, self.space.digest(a), f"grow {diff(architecture, a)[0].path}") for a in grown]


def _grows(before: Any, after: Any) -> bool:
    """Whether an edit leads from one network to the other."""
    before, after = without_recipe(before), without_recipe(after)
    if before == after:
        return False
    try:
        check_reachable(before, after)
    except SpaceError:
        return False
    return True


def _first_change(before: Sequence[int], after: Sequence[int]) -> tuple[int, int]:
    """The first decision that is taken otherwise, and how."""
    return next((i, new) for i, (old, new) in enumerate(zip(before, after, strict=True)) if old != new)


def smallest(space: SearchSpace, rng: Random) -> Any:
    """An architecture with the smallest of all sizes, its kinds drawn; any one where that isn't to be had."""

    def pick(index: int, options: int) -> int:
        decision: Decision = space.decisions[index]
        return min(range(options), key=decision.options.__getitem__) if decision.ordered else rng.randrange(options)

    if isinstance(space, Space):
        found = space.drawn(pick)
        if found in space:
            return found
    return space.sample(rng)


def _quality(member: Member) -> tuple[float, float, int]:
    return member.excess, member.losses[0], member.number


__all__ = ["GreedyGrowing"]

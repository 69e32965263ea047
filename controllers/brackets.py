"""Brackets of rungs over another controller: many candidates at little cost, the best of them at more."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from random import Random
from typing import Any

from archfront.contracts import Constraint, Evaluation, Objective, Proposal, WrongUse
from controllers.base import Controller, create
from controllers.rungs import Rung, ladder, shares
from search_spaces.space import SearchSpace

PARTS = 10_000
"""What the full fidelity counts as where nobody has said how many epochs it is."""


class Brackets(Controller):
    """Promotes the best 1/`reduction` of each rung as soon as they are known, and else takes a new candidate.

    New candidates come from another controller, which is told the result of the highest fidelity that each has so
    far: one that was promoted counts as a fresh result in place of its former one. In a space with no new candidate
    left, promotions go on until all that can be promoted have full fidelity.

    Args:
        of: the controller that proposes new candidates; by default pareto-evolution for several objectives, else
            regularized-evolution.
        settings: that controller's settings.
        min_fidelity: the share of a full training that the lowest rung takes.
        reduction: one in so many is promoted, and the next rung takes so many times as long.
        fidelities: the shares of all rungs below full training, in place of those that min_fidelity makes.
    """

    multi_fidelity = True

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        of: str = "",
        min_fidelity: float = 1 / 16,
        reduction: float = 4,
        fidelities: Sequence[float] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        _check(min_fidelity, reduction, fidelities)
        self._of = of or ("pareto-evolution" if len(self.objectives) > 1 else "regularized-evolution")
        self._settings = dict(settings or {})
        self._reduction = float(reduction)
        self._begin_with: tuple[Any, ...] = ()
        self._fidelities = tuple(fidelities) or shares(min_fidelity, reduction)
        self._inner = self._made()
        self._stale = False
        self._first: dict[str, Proposal] = {}
        self._latest: dict[str, Evaluation] = {}
        self._home: dict[str, int] = {}
        self._running: set[str] = set()
        self.set_epochs(PARTS)

    @abstractmethod
    def starts(self, rungs: int) -> Mapping[int, int]:
        """The rung at which each bracket begins, and how many candidates it begins with relative to the others."""

    def set_epochs(self, epochs: int | None) -> None:
        if epochs is None:
            raise WrongUse(
                "this search's evaluations have one fidelity alone; multi-fidelity controllers need the evaluator "
                "'training', or one of your own with epochs(); in 'archfront bench search' say --fidelity SHARE=COLUMN"
            )
        self._ladder = ladder(self._fidelities, epochs)
        self._shares = dict(self.starts(len(self._ladder)))
        self._begun = dict.fromkeys(self._shares, 0)
        self._rungs = {(start, i): Rung() for start in self._shares for i in range(start, len(self._ladder))}

    def begin_with(self, architectures: Iterable[Any]) -> None:
        # Not of this controller's own list: they begin at the lowest rung, as all new candidates do.
        self._begin_with = (*architectures, *self._begin_with)
        self._inner.begin_with(self._begin_with)

    @property
    def waiting(self) -> bool:
        return bool(self._running)

    def propose(self, rng: Random) -> Proposal:
        return self._new(rng) or self.proposal(self.space.sample(rng), "random")

    def observe(self, evaluation: Evaluation) -> None:
        digest = evaluation.proposal.digest
        if digest not in self._first:
            return
        self._running.discard(digest)
        home = self._home[digest]
        rung = max(home, self._rung(evaluation.proposal.fidelity))
        self._rungs[home, rung].add(digest, self.archive.member(evaluation))
        known = self._latest.pop(digest, None)
        self._latest[digest] = replace(evaluation, proposal=self._first[digest])
        if known is not None:
            self._stale = True
        elif not self._stale:
            self._inner.tell([self._latest[digest]])

    def _remember(self, proposal: Proposal) -> None:
        super()._remember(proposal)
        digest, rung = proposal.digest, self._rung(proposal.fidelity)
        self._running.add(digest)
        if digest in self._first:
            for lower in range(self._home[digest], rung):
                self._rungs[self._home[digest], lower].promoted.add(digest)
            return
        # What was begun with other settings belongs to the bracket that would have come to this rung.
        home = max((start for start in self._shares if start <= rung), default=min(self._shares))
        self._home[digest] = home
        self._begun[home] += 1
        self._first[digest] = replace(proposal, fidelity=None)
        if not self._stale:
            self._inner._remember(self._first[digest])

    def _unseen(self, rng: Random) -> Proposal | None:
        return self._promotion(self._reduction) or self._new(rng) or self._promotion(1.0)

    def _promotion(self, reduction: float) -> Proposal | None:
        """The best candidate that is due at a higher fidelity, from the highest rung that has one."""
        for start, rung in sorted(self._rungs, key=lambda at: (-at[1], at[0])):
            digest = self._rungs[start, rung].next(reduction) if self._promotable(rung) else None
            if digest is not None:
                return replace(self._first[digest], fidelity=self._fidelity(rung + 1), origin="promotion")
        return None

    def _promotable(self, rung: int) -> bool:
        """Whether the best of a rung go on to the next one."""
        return rung < len(self._ladder) - 1

    def _new(self, rng: Random) -> Proposal | None:
        """A candidate that the inner controller has not proposed before, for the bracket that is most behind."""
        if self._stale:
            self._inner = self._made()
            self._inner.restore(self._first.values(), self._latest.values())
            self._stale = False
        found = self._inner._unseen(rng)
        start = min(self._shares, key=lambda start: (self._begun[start] / self._shares[start], start))
        return replace(found, fidelity=self._fidelity(start)) if found else None

    def _fidelity(self, rung: int) -> int | None:
        return self._ladder[rung] if rung < len(self._ladder) - 1 else None

    def _rung(self, fidelity: int | None) -> int:
        """The highest rung that a result of this fidelity counts for."""
        epochs = self._ladder[-1] if fidelity is None else fidelity
        return max((i for i, rung in zip(count(), self._ladder, strict=False) if rung <= epochs), default=0)

    def _made(self) -> Controller:
        inner = create(self._of, self.space, self.objectives, self.constraints, self.seed, self._settings)
        if inner.multi_fidelity:
            raise WrongUse(f"'{self._of}' chooses fidelities itself; name another controller with of=NAME")
        inner.begin_with(self._begin_with)
        return inner


def _check(min_fidelity: float, reduction: float, fidelities: Sequence[float]) -> None:
    if not all(0 < share < 1 for share in (min_fidelity, *fidelities)):
        raise WrongUse("min_fidelity and fidelities are shares of a full training, above 0 and below 1")
    if not reduction > 1:
        raise WrongUse(f"reduction={reduction:g} must be above 1: one in so many is promoted; 3 and 4 are usual")

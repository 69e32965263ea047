"""The default: picks a controller for the space, the objectives and the budget at hand, and says why."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from archfront.contracts import Constraint, Evaluation, Objective, Proposal
from controllers.base import CONTROLLERS, Controller, create
from search_spaces.space import SearchSpace

MODELLED = 2_000
"""Evaluations up to which a model's thinking, milliseconds per candidate, buys more than evolution's haste."""
FEW = 12
"""Evaluations up to which a model hardly has anything to learn from."""


@CONTROLLERS.register("auto", source="none: a choice among the other controllers")
class Auto(Controller):
    """Every candidate where the budget reaches for all, a model with up to 2,000 evaluations, else evolution.

    `picked` and `reason` say which controller it is, and why. Whatever is asked of it, or told to it, that one answers.

    Args:
        evaluations: how many there will be; 0 where only time limits them. A search fills this in itself.
    """

    takes_evaluations = True

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        evaluations: int = 0,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        self.picked, self.reason = pick(space.size(), len(objectives), evaluations)
        self._inner = create(self.picked, space, objectives, constraints, seed)
        self.archive = self._inner.archive
        self.multi_fidelity = self._inner.multi_fidelity

    @property
    def note(self) -> str:
        """Which controller was picked, and why; then what that one has to say."""
        said = f"; {self._inner.note}" if self._inner.note else ""
        return f"controller {self.picked}: {self.reason}{said}"

    @property
    def acting(self) -> Controller:
        return self._inner.acting

    @property
    def waiting(self) -> bool:
        return self._inner.waiting

    def set_epochs(self, epochs: int | None) -> None:
        self._inner.set_epochs(epochs)

    def begin_with(self, architectures: Iterable[Any]) -> None:
        self._inner.begin_with(architectures)

    def propose(self, rng: Random) -> Proposal:
        return self._inner.propose(rng)

    def observe(self, evaluation: Evaluation) -> None:
        self._inner.observe(evaluation)

    def proposal(self, architecture: Any, origin: str, parents: Iterable[str] = ()) -> Proposal:
        return self._inner.proposal(architecture, origin, parents)

    def architecture(self, digest: str) -> Any:
        return self._inner.architecture(digest)

    def ask(self, n: int = 1) -> list[Proposal]:
        return self._inner.ask(n)

    def tell(self, evaluations: Iterable[Evaluation]) -> None:
        self._inner.tell(evaluations)

    def restore(self, proposals: Iterable[Proposal], evaluations: Iterable[Evaluation]) -> None:
        self._inner.restore(proposals, evaluations)

    def _remember(self, proposal: Proposal) -> None:
        self._inner._remember(proposal)

    def _left(self) -> Proposal | None:
        return self._inner._left()

    def _unseen(self, rng: Random) -> Proposal | None:
        return self._inner._unseen(rng)


def pick(size: int | None, objectives: int, evaluations: int) -> tuple[str, str]:
    """The controller's name and the reason, for a space of `size` (None: unknown) and a budget (0: unknown)."""
    if size is not None and evaluations and size <= evaluations:
        return "exhaustive", f"the space has {size:,} architectures, and the budget reaches for all"
    evolution = "pareto-evolution" if objectives > 1 else "regularized-evolution"
    if evaluations > MODELLED:
        return evolution, f"with more than {MODELLED:,} evaluations, evolution keeps up and a model's thinking doesn't"
    if 0 < evaluations <= FEW:
        return evolution, f"{evaluations} evaluations are too few to learn a model from"
    budget = f"{evaluations:,} evaluations" if evaluations else "a budget of time"
    return "model-based", f"with {budget}, a model finds the {'front' if objectives > 1 else 'best'} soonest"

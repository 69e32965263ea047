"""Screening: many candidates for a few epochs, the best of them for more, and the finals left to a plan."""

from collections.abc import Mapping, Sequence
from random import Random

from archfront.contracts import Constraint, Objective, Proposal, WrongUse
from controllers.base import CONTROLLERS
from controllers.brackets import Brackets
from controllers.rungs import Rung
from search_spaces.space import SearchSpace


@CONTROLLERS.register("screening", source="A System for Massively Parallel Hyperparameter Tuning")
class Screening(Brackets):
    """Asynchronous successive halving by epochs, so that a longer last training changes nothing of the earlier ones.

    What the search begins with, its portfolio, is screened first, in its order. Where a plan spends the budget, it
    chooses itself who is trained to the end, when the screening is over.

    Args:
        rungs: the epochs of each rung, ascending.
        of: the controller that proposes new candidates; `model-based` for several objectives and one.
        reduction: one in so many is promoted to the next rung.
        finals: whether the best of the last rung are promoted to full training, too; a plan does that itself.
        settings: the settings of the controller that proposes.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        rungs: Sequence[int] = (1,),
        of: str = "model-based",
        reduction: float = 3,
        finals: bool = True,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        if not rungs or list(rungs) != sorted(set(rungs)) or rungs[0] < 1:
            raise WrongUse(f"screening needs ascending epochs, as in rungs=[2,6], not {list(rungs)}")
        self._epochs = tuple(rungs)
        self._finals = finals
        super().__init__(space, objectives, constraints, seed, of=of, reduction=reduction, settings=settings)

    def starts(self, rungs: int) -> Mapping[int, int]:
        return {0: 1}

    def set_epochs(self, epochs: int | None) -> None:
        if epochs is None:
            raise WrongUse("this search's evaluations have one fidelity alone, so there is nothing to screen")
        lower = tuple(rung for rung in self._epochs if rung < epochs)
        if not lower:
            raise WrongUse(f"rungs={list(self._epochs)}: none is shorter than the whole training of {epochs} epochs")
        self._ladder = (*lower, epochs)
        self._shares = dict(self.starts(len(self._ladder)))
        self._begun = dict.fromkeys(self._shares, 0)
        self._rungs = {(0, i): Rung() for i in range(len(self._ladder))}

    def _unseen(self, rng: Random) -> Proposal | None:
        if self._finals:
            return super()._unseen(rng)
        # Without the promotions of all that is left, with which other brackets end: the finals come instead.
        return self._promotion(self._reduction) or self._new(rng)

    def _promotable(self, rung: int) -> bool:
        return rung < len(self._ladder) - (1 if self._finals else 2)

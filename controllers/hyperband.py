"""Asynchronous Hyperband: brackets that begin at every rung, in case low fidelities mislead."""

from collections.abc import Mapping
from math import ceil

from controllers.base import CONTROLLERS
from controllers.brackets import Brackets


@CONTROLLERS.register("hyperband", source="Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization")
class Hyperband(Brackets):
    """Asynchronous Hyperband over another controller: brackets of successive halving with as much training each.

    The first bracket begins at the lowest rung, the last at full training, which needs no trust in low fidelities.
    Takes what `Brackets` takes.
    """

    def starts(self, rungs: int) -> Mapping[int, int]:
        return {start: _candidates(rungs, rungs - 1 - start, self._reduction) for start in range(rungs)}


def _candidates(brackets: int, halvings: int, reduction: float) -> int:
    """How many candidates a bracket that is halved so often begins with."""
    return ceil(brackets / (halvings + 1) * reduction**halvings - 1e-9)

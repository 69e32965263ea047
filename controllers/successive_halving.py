"""ASHA: successive halving that never waits for a rung to fill."""

from collections.abc import Mapping

from controllers.base import CONTROLLERS
from controllers.brackets import Brackets


@CONTROLLERS.register("asha", source="A System for Massively Parallel Hyperparameter Tuning")
class SuccessiveHalving(Brackets):
    """Asynchronous successive halving over another controller: every candidate begins at the lowest rung.

    Takes what `Brackets` takes.
    """

    def starts(self, rungs: int) -> Mapping[int, int]:
        return {0: 1}

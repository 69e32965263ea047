"""Optuna's CMA-ES as a controller, whose generations follow from the order in which results came."""

from collections.abc import Sequence
from copy import copy
from importlib.util import find_spec
from math import log
from random import Random
from typing import Any

from archfront.contracts import Constraint, Objective, WrongUse
from controllers.base import CONTROLLERS
from controllers.optuna_samplers import OptunaController
from search_spaces.space import SearchSpace


@CONTROLLERS.register("optuna:cmaes", source="Completely Derandomized Self-Adaptation in Evolution Strategies")
class OptunaCMAES(OptunaController):
    """Optuna's CMA-ES: one objective, no constraints; decisions that aren't numbers are drawn at random.

    Args:
        population_size: members of a generation; 0 for 4 + 3 ln(decisions), the usual rule.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        population_size: int = 0,
    ) -> None:
        numbers = sum(d.ordered and len(d.options) > 1 and d.parent is None for d in space.decisions)
        for wrong, cause in (
            (find_spec("cmaes") is None, "needs the package cmaes; install it with: pip install cmaes"),
            (len(objectives) > 1, "takes one objective; for several say optuna:nsga2 or optuna:tpe"),
            (bool(constraints), "takes no constraints; say optuna:tpe or optuna:gp, which do"),
            (numbers == 0, "needs decisions whose options are numbers, and this space has none; say optuna:tpe"),
            (population_size < 0 or population_size == 1, "needs population_size >= 2"),
        ):
            if wrong:
                raise WrongUse(f"optuna:cmaes {cause}")
        self._members = population_size or 4 + int(3 * log(numbers))
        super().__init__(space, objectives, constraints, seed)

    def sampler(self, seed: int) -> Any:
        sampler = self._optuna.samplers.CmaEsSampler(seed=seed, popsize=self._members, warn_independent_sampling=False)
        draw = sampler.sample_relative

        def drawn(study: Any, trial: Any, decisions: dict[str, Any]) -> dict[str, Any]:
            # Optuna adds the trial's number to the seed, and a restored study counts fewer trials that were dropped.
            trial = copy(trial)
            trial.number = 0
            return draw(study, trial, decisions)

        sampler.sample_relative = drawn
        return sampler

    def attributes(self) -> dict[str, Any]:
        """The generation, and at the start of one, the state that Optuna keeps on a trial, of that generation's end.

        The first trial is the start that Optuna draws at random, and belongs to no generation.
        """
        if not self._complete:
            return {}
        generation, place = divmod(self._complete - 1, self._members)
        found: dict[str, Any] = {"cma:generation": generation}
        if generation and not place:
            trial = self._asked_with(Random(f"{self.seed}/generation/{generation}").randrange(2**31))
            noted = self._study._storage.get_trial(trial._trial_id).system_attrs
            found |= {key: value for key, value in noted.items() if key.startswith("cma:optimizer")}
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        return found

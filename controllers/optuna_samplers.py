"""Optuna's samplers as controllers, through Optuna's own ask and tell, conditional decisions included."""

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from random import Random
from typing import Any

import numpy as np

from archfront.contracts import Constraint, Evaluation, Objective, Proposal, WrongUse
from controllers.base import CONTROLLERS, Controller
from controllers.pool import Pool
from search_spaces.decisions import INACTIVE, Decision
from search_spaces.errors import SpaceError
from search_spaces.space import Genes, SearchSpace

STEPS = 50
"""How far a suggestion that is known already may wander, where the space can't be looked at as a whole."""
OPTUNA = "Optuna: A Next-generation Hyperparameter Optimization Framework"


class OptunaController(Controller):
    """One of Optuna's samplers; a suggestion that is known, or in no row of a table, becomes the nearest unseen one.

    Optuna's study holds what was told, in that order, and nothing else: each proposal comes from a fresh sampler,
    seeded for it, and the trial it was asked with is dropped. So a restored search goes on as if never stopped.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        import optuna  # takes a second, and is needed by these controllers alone

        self._optuna = optuna
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(directions=["minimize"] * len(self.objectives))
        self._complete = 0

    @abstractmethod
    def sampler(self, seed: int) -> Any:
        """Optuna's sampler, as it is used for one proposal."""

    def attributes(self, complete: int) -> dict[str, Any]:
        """What the sampler expects Optuna to know of the trial that was number `complete` to succeed."""
        return {}

    def observe(self, evaluation: Evaluation) -> None:
        member = self.archive.member(evaluation)
        broken = [_over(constraint, evaluation.values.get(constraint.metric)) for constraint in self.constraints]
        if member is None or None in broken:
            return
        genes = self.space.genes(evaluation.proposal.architecture)
        active = [(i, gene) for i, gene in enumerate(genes) if gene != INACTIVE]
        attributes = {f"constraints:{i}": over for i, over in enumerate(broken)}
        self._study.add_trial(
            self._optuna.trial.create_trial(
                values=member.losses,
                params={self._names[i]: self._ranks[i].index(gene) for i, gene in active},
                distributions={self._names[i]: self._distribution(self.space.decisions[i]) for i, _ in active},
                system_attrs=attributes | self.attributes(self._complete),
            )
        )
        self._complete += 1

    def propose(self, rng: Random) -> Proposal:
        if self._pool and not len(self._pool.unseen(self._architectures)):
            return self.proposal(self.space.sample(rng), "random")
        self._study.sampler = self.sampler(rng.randrange(2**31))
        trial = self._study.ask()
        genes = self._suggested(trial)
        self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        return self._nearest_in_pool(genes, rng) if self._pool else self._nearest_by_steps(genes, rng)

    @cached_property
    def _pool(self) -> Pool | None:
        return Pool.of(self.space)

    @cached_property
    def _names(self) -> list[str]:
        # Decisions that are never active together may share their path, but not, in Optuna, their options.
        return [f"{i}:{decision.path}" for i, decision in enumerate(self.space.decisions)]

    @cached_property
    def _ranks(self) -> list[list[int]]:
        """Each decision's options by number, in ascending order where they are numbers."""
        return [
            sorted(range(len(d.options)), key=d.options.__getitem__) if d.ordered else list(range(len(d.options)))
            for d in self.space.decisions
        ]

    def _distribution(self, decision: Decision) -> Any:
        distributions, options = self._optuna.distributions, len(decision.options)
        if decision.ordered:
            return distributions.IntDistribution(0, options - 1)
        return distributions.CategoricalDistribution(tuple(range(options)))

    def _suggested(self, trial: Any) -> Genes:
        genes: list[int] = []
        for decision, name, ranks in zip(self.space.decisions, self._names, self._ranks, strict=True):
            if decision.parent is not None and genes[decision.parent] not in decision.parent_options:
                genes.append(INACTIVE)
            elif decision.ordered:
                genes.append(ranks[trial.suggest_int(name, 0, len(ranks) - 1)])
            else:
                genes.append(trial.suggest_categorical(name, range(len(ranks))))
        return tuple(genes)

    def _nearest_in_pool(self, genes: Genes, rng: Random) -> Proposal:
        assert self._pool is not None
        unseen = self._pool.unseen(self._architectures)
        distance = (self._pool.genes[unseen] != np.array(genes)).sum(axis=1)
        order = np.lexsort((np.array([rng.random() for _ in unseen]), distance))
        for index in unseen[order]:
            found = self.proposal(self._pool.architectures[index], "suggestion")
            if found.digest not in self._architectures:
                return found
            self._pool.drop(int(index))
        return found

    def _nearest_by_steps(self, genes: Genes, rng: Random) -> Proposal:
        try:
            architecture = self.space.architecture(genes)
            self.space.genes(architecture)  # a rule may ban it
        except SpaceError:
            return self.proposal(self.space.sample(rng), "random")
        found = self.proposal(architecture, "suggestion")
        for _ in range(STEPS):
            if found.digest not in self._architectures:
                break
            found = self.proposal(self.space.mutate(found.architecture, rng), "suggestion")
        return found


def _over(constraint: Constraint, value: float | None) -> float | None:
    """By how much the bound is broken; negative where there is room, as Optuna has it."""
    if value is None or not np.isfinite(value):
        return None
    return value - constraint.bound if constraint.upper else constraint.bound - value


@CONTROLLERS.register("optuna:random", source=OPTUNA)
class OptunaRandom(OptunaController):
    """Optuna's random sampler."""

    def sampler(self, seed: int) -> Any:
        return self._optuna.samplers.RandomSampler(seed=seed)


@CONTROLLERS.register("optuna:tpe", source="Algorithms for Hyper-Parameter Optimization")
class OptunaTPE(OptunaController):
    """Optuna's tree-structured Parzen estimator."""

    def sampler(self, seed: int) -> Any:
        return self._optuna.samplers.TPESampler(seed=seed)


class OptunaGenetic(OptunaController):
    """What Optuna's genetic samplers have in common: a trial's generation follows from how many came back before."""

    kind: str

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        population: int = 50,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        if population < 2:
            raise WrongUse("Optuna's genetic samplers need population >= 2")
        self._population = population

    def sampler(self, seed: int) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            return getattr(self._optuna.samplers, self.kind)(seed=seed, population_size=self._population)

    def attributes(self, complete: int) -> dict[str, Any]:
        return {f"{self.kind}:generation": complete // self._population}


@CONTROLLERS.register("optuna:nsga2", source="A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II")
class OptunaNSGA2(OptunaGenetic):
    """Optuna's NSGA-II."""

    kind = "NSGAIISampler"


@CONTROLLERS.register(
    "optuna:nsga3",
    source="An Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based Nondominated Sorting "
    "Approach, Part I: Solving Problems With Box Constraints",
)
class OptunaNSGA3(OptunaGenetic):
    """Optuna's NSGA-III."""

    kind = "NSGAIIISampler"

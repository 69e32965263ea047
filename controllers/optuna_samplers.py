"""Optuna's samplers as controllers, through Optuna's own ask and tell, conditional decisions included."""

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from random import Random
from typing import Any, ClassVar

from archfront.contracts import Constraint, Evaluation, Objective, Proposal, WrongUse
from controllers.base import CONTROLLERS, Controller
from search_spaces.decisions import INACTIVE
from search_spaces.space import Genes, SearchSpace

OPTUNA = "Optuna: A Next-generation Hyperparameter Optimization Framework"


class OptunaController(Controller):
    """One of Optuna's samplers, its settings by Optuna's own names.

    Optuna's in-memory study holds what was proposed, running until it was told, and nothing else: each proposal comes
    from a fresh sampler, seeded for it, and the trial that it was asked with is dropped. So a restored search goes on
    as if never stopped. Optuna may suggest a candidate twice, or one that is in no row of a table; the nearest unseen
    candidate takes its place.
    """

    tries: ClassVar[int] = 2

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
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(directions=["minimize"] * len(self.objectives))
        self._trials: dict[str, int] = {}
        self._complete = 0
        self._drawn(0)  # wrong settings are refused at once

    @abstractmethod
    def sampler(self, seed: int) -> Any:
        """Optuna's sampler, as it is used for one proposal."""

    def attributes(self) -> dict[str, Any]:
        """What the sampler must find noted on the trial that succeeds next, besides values and constraints."""
        return {}

    def propose(self, rng: Random) -> Proposal:
        trial = self._asked_with(rng.randrange(2**31))
        genes = self._suggested(trial)
        self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        for architecture in self.space.around(genes, rng):
            found = self.proposal(architecture, "suggestion")
            if found.digest not in self._architectures:
                return found
        return self.proposal(self.space.sample(rng), "random")

    def observe(self, evaluation: Evaluation) -> None:
        number = self._trials.get(evaluation.proposal.digest)
        if number is None:
            return
        member, state = self.archive.member(evaluation), self._optuna.trial.TrialState
        values = evaluation.values
        known = [c for c in self.constraints if c.metric in values]
        noted = {f"constraints:{c}": _over(c, values[c.metric]) for c in known}
        if member is not None:
            noted |= {f"constraints:{c}": 0.0 for c in self.constraints if c not in known} | self.attributes()
        for key, value in noted.items():
            self._study._storage.set_trial_system_attr(number, key, value)
        if member is not None:
            self._study.tell(number, list(member.losses))
            self._complete += 1
            return
        # A candidate that was rejected before it was trained still tells where the constraints don't hold.
        broken = any(c.excess(values[c.metric]) > 0 for c in known)
        self._study.tell(number, state=state.PRUNED if broken else state.FAIL)

    def _remember(self, proposal: Proposal) -> None:
        super()._remember(proposal)
        genes = self.space.genes(proposal.architecture)
        active = [(i, gene) for i, gene in enumerate(genes) if gene != INACTIVE]
        trial = self._optuna.trial.create_trial(
            state=self._optuna.trial.TrialState.RUNNING,
            params={self._names[i]: self._ranks[i].index(gene) for i, gene in active},
            distributions={self._names[i]: self._distributions[i] for i, _ in active},
        )
        # A trial's id and number are the same in memory; `add_trial` would keep both for itself.
        storage, study = self._study._storage, self._study._study_id
        self._trials[proposal.digest] = storage.create_new_trial(study, template_trial=trial)

    def _asked_with(self, seed: int) -> Any:
        self._study.sampler = self._drawn(seed)
        return self._study.ask()

    def _drawn(self, seed: int) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            try:
                return self.sampler(seed)
            except ValueError as error:
                raise WrongUse(f"Optuna refuses the settings: {error}") from None

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

    @cached_property
    def _distributions(self) -> list[Any]:
        kinds = self._optuna.distributions
        return [
            kinds.IntDistribution(0, len(d.options) - 1)
            if d.ordered
            else kinds.CategoricalDistribution(tuple(range(len(d.options))))
            for d in self.space.decisions
        ]

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


def _over(constraint: Constraint, value: float) -> float:
    """By how much the bound is broken, relative to it; negative where there is room, as Optuna has it."""
    over = value - constraint.bound if constraint.upper else constraint.bound - value
    return over / abs(constraint.bound) if constraint.bound else over


@CONTROLLERS.register("optuna:random", source=OPTUNA)
class OptunaRandom(OptunaController):
    """Optuna's random sampler."""

    def sampler(self, seed: int) -> Any:
        return self._optuna.samplers.RandomSampler(seed=seed)


@CONTROLLERS.register("optuna:tpe", source="Algorithms for Hyper-Parameter Optimization")
class OptunaTPE(OptunaController):
    """Optuna's tree-structured Parzen estimator.

    Args:
        n_startup_trials: random candidates at the start.
        n_ei_candidates: draws from the good candidates' density of which the best is taken.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        n_startup_trials: int = 10,
        n_ei_candidates: int = 24,
    ) -> None:
        self._settings = {"n_startup_trials": n_startup_trials, "n_ei_candidates": n_ei_candidates}
        super().__init__(space, objectives, constraints, seed)

    def sampler(self, seed: int) -> Any:
        return self._optuna.samplers.TPESampler(seed=seed, **self._settings)


@CONTROLLERS.register("optuna:gp", source=OPTUNA)
class OptunaGP(OptunaController):
    """Optuna's Gaussian process; decisions that aren't always active are drawn at random.

    Args:
        n_startup_trials: random candidates at the start.
        deterministic_objective: whether a candidate's figures are free of noise.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        n_startup_trials: int = 10,
        deterministic_objective: bool = False,
    ) -> None:
        self._settings = {
            "n_startup_trials": n_startup_trials,
            "deterministic_objective": deterministic_objective,
            "warn_independent_sampling": False,
        }
        super().__init__(space, objectives, constraints, seed)

    def sampler(self, seed: int) -> Any:
        return self._optuna.samplers.GPSampler(seed=seed, **self._settings)


class OptunaGenetic(OptunaController):
    """What Optuna's genetic samplers share: who belongs to a generation follows from the order in which results came.

    Args:
        population_size: members of a generation.
        crossover_prob: share of children of two parents.
        swapping_prob: how likely each decision is the other parent's, in a crossover.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        population_size: int = 50,
        crossover_prob: float = 0.9,
        swapping_prob: float = 0.5,
    ) -> None:
        self._settings: dict[str, Any] = {
            "population_size": population_size,
            "crossover_prob": crossover_prob,
            "swapping_prob": swapping_prob,
        }
        super().__init__(space, objectives, constraints, seed)

    def sampler(self, seed: int) -> Any:
        return getattr(self._optuna.samplers, self.kind)(seed=seed, **self._settings)

    def attributes(self) -> dict[str, Any]:
        return {f"{self.kind}:generation": self._complete // self._settings["population_size"]}

    def observe(self, evaluation: Evaluation) -> None:
        before = self._complete
        super().observe(evaluation)
        generation, rest = divmod(self._complete, self._settings["population_size"])
        if self._complete > before and not rest:
            # Optuna selects parents, by chance in part, when it is first asked; a resumed search may ask later.
            sampler = self._drawn(Random(f"{self.seed}/generation/{generation}").randrange(2**31))
            sampler.get_parent_population(self._study, generation)


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

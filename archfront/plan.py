"""What a search is made of, as plain values that travel to workers, and the things made from it."""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from archfront.contracts import Constraint, Context, Evaluation, Objective, Proposal, WrongUse, feasible, silent
from evaluators.base import Evaluator, attempt, create, find, parse
from search_spaces.errors import near
from search_spaces.parts import without_recipe
from search_spaces.space import SearchSpace

LATEST_S = 120.0
"""So late, at most, work is taken to begin after it was sent off."""
DEVICE_METRICS = ("latency_ms", "throughput", "peak_memory_mb", "energy_mj")


@dataclass(frozen=True)
class Plan:
    """Everything that a worker must know, and that makes one search the same as another.

    `space` is a name of the registry, `path/to/file.py:name`, `table:FILE` (then `decisions` names its columns), or
    empty for the space that fits the data. `where` is a boolean column that bans rows of a table. `evaluator` does
    the main work: `training`, `table:FILE`, `path/to/file.py:name`. `search_recipe` says which fields of the training
    recipe are searched with the network, and where: `{"lr": "log_uniform(1e-4,1e-2)"}`.
    """

    space: str = ""
    decisions: tuple[str, ...] = ()
    where: str | None = None
    data: str | None = None
    data_settings: Mapping[str, Any] = field(default_factory=dict)
    evaluator: str = "training"
    evaluator_settings: Mapping[str, Any] = field(default_factory=dict)
    device: str = "host"
    objectives: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    seed: int = 0
    threads: int = 1
    timeout_s: float | None = None
    search_recipe: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    effort: str = "search"
    """How long a latency is measured in the search: "search", or "brief" where trainings are short."""

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Plan":
        """What `to_json` gave."""
        fields: dict[str, Any] = {k: tuple(item) if isinstance(item, list) else item for k, item in value.items()}
        return cls(**fields)

    def qualified(self) -> "Plan":
        """The plan with `latency_ms` and its like said to be of the plan's device: `latency_ms@host`.

        Those of an evaluator that says everything itself stay its own.
        """
        if find(parse(self.evaluator)[0]).self_contained:
            return self
        device = self.device_name

        def name(text: str) -> str:
            for metric in DEVICE_METRICS:
                if text.startswith(metric) and not text.startswith(metric + "@"):
                    return f"{metric}@{device}{text[len(metric) :]}"
            return text

        return replace(
            self, objectives=tuple(map(name, self.objectives)), constraints=tuple(map(name, self.constraints))
        )

    @property
    def device_name(self) -> str:
        """What metrics call the plan's device, which may be given as the path of a TOML file."""
        from hardware_profiles import profile

        return profile(self.device).name

    @property
    def parsed_objectives(self) -> tuple[Objective, ...]:
        """The objectives; raises `WrongUse` for a wrong one."""
        return tuple(Objective.parse(text) for text in self.objectives)

    @property
    def parsed_constraints(self) -> tuple[Constraint, ...]:
        """The constraints; raises `WrongUse` for a wrong one."""
        return tuple(Constraint.parse(text) for text in self.constraints)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The metrics that objectives and constraints speak of, each once."""
        objectives = [objective.metric for objective in self.parsed_objectives]
        constraints = [constraint.metric for constraint in self.parsed_constraints]
        return tuple(dict.fromkeys(objectives + constraints))


class Experiment:
    """What a process makes from a plan when it first needs it: data set, space, evaluators, context.

    A plan without objectives gets those of its evaluator on its data.
    """

    def __init__(self, plan: Plan, data: Any = None) -> None:
        """`data` are the plan's, where they are loaded already."""
        if data is not None:
            self.__dict__["data"] = data
        self.plan = plan
        if not plan.objectives:
            self.plan = replace(plan, objectives=self.main_for(()).objectives()).qualified()

    @functools.cached_property
    def data(self) -> Any:
        """The loaded data set; None where the plan names none."""
        if not self.plan.data:
            return None
        from evaluators.datasets import load

        # The split is the study's own, unless the data's settings say `seed`.
        return load(self.plan.data, **{"seed": self.plan.seed, **self.plan.data_settings})

    @functools.cached_property
    def space(self) -> SearchSpace:
        """The search space, with the fields of the recipe that are searched, too."""
        if not self.plan.search_recipe:
            return self._networks
        from evaluators.searched_recipe import with_recipe

        self._check_searched()
        return with_recipe(self._networks, self.plan.search_recipe)

    @functools.cached_property
    def _networks(self) -> SearchSpace:
        """The space that the plan names."""
        plan = self.plan
        if self._of_table:
            from search_spaces.table import TableSpace

            # Rows that the evaluator averages are one candidate.
            repeats = plan.evaluator_settings.get("repeats", "error")
            return TableSpace.load(plan.space.removeprefix("table:"), plan.decisions, plan.where, repeats)
        from search_spaces.spaces import get_space

        if not plan.space:
            if self.data is None:
                raise WrongUse("say what to search: --space NAME ('archfront spaces' lists them), or --data")
            space: Any = get_space(self.data.space, self.data.inputs, self.data.train.size)
        elif self.data is None:
            space = get_space(plan.space)
        else:
            space = get_space(plan.space, self.data.inputs, self.data.train.size)
        if plan.where is not None:
            space = space.where(self.main.rule(plan.where), plan.where)
        return space

    @property
    def _of_table(self) -> bool:
        return self.plan.space.startswith("table:")

    def _check_searched(self) -> None:
        """Raise `WrongUse` where no recipe can be searched, or a field of it is set, too."""
        plan = self.plan
        for name in plan.search_recipe:
            if name in plan.evaluator_settings:
                given = f"evaluator.{name}={plan.evaluator_settings[name]}"
                raise WrongUse(f"{name} is both searched and set ({given}); leave out one of the two")
        if not self.main.trains_by_recipe:
            raise WrongUse(
                f"the evaluator '{plan.evaluator}' doesn't train by a candidate's own recipe, so none can be "
                "searched; leave --search-recipe out, or say --evaluator training"
            )

    @functools.cached_property
    def main(self) -> Evaluator:
        """The evaluator that does the main work."""
        return self.main_for(self.plan.wanted)

    def main_for(self, metrics: Sequence[str]) -> Evaluator:
        """The evaluator that does the main work, in a search that wants these metrics."""
        plan = self.plan
        found = create(plan.evaluator, plan.evaluator_settings).narrowed(
            metrics, plan.where if self._of_table else None
        )
        found.suit(self.data)
        return found

    @functools.cached_property
    def evaluators(self) -> dict[str, Evaluator]:
        """The parts of an evaluation in the order in which they run: cheap ones, devices, then the main one.

        Devices come before training since a candidate that a device can't run, or runs too slowly, need not be
        trained.
        """
        found: list[Evaluator] = []
        if not self.main.self_contained and self.data is not None:
            found.append(create("cost"))
            devices = {name.partition("@")[2] for name in self.plan.wanted if name.partition("@")[0] in DEVICE_METRICS}
            for device in sorted(filter(None, devices)):
                given = self.plan.device if device == self.plan.device_name else device
                found.append(create("latency", {"device": given, "effort": self.plan.effort}))
        found.append(self.main)
        return {_label(evaluator): evaluator for evaluator in found}

    @property
    def graded(self) -> tuple[str, ...]:
        """The evaluators whose figures depend on a proposal's fidelity."""
        return tuple(name for name, one in self.evaluators.items() if one.epochs(self.context) is not None)

    @property
    def epochs(self) -> int | None:
        """The epochs of a full evaluation; None where no evaluator knows a lower fidelity."""
        found = [one.epochs(self.context) for one in self.evaluators.values()]
        return max((epochs for epochs in found if epochs is not None), default=None)

    @functools.cached_property
    def context(self) -> Context:
        """What evaluators are given besides the proposal."""
        data = self.data
        return Context(
            folder=Path(self.plan.folder),
            seed=self.plan.seed,
            threads=self.plan.threads,
            inputs=data.inputs if data is not None else (),
            outputs=data.outputs if data is not None else 0,
            data=data,
            timeout_s=self.plan.timeout_s,
        )

    def check(self) -> None:
        """Raise `WrongUse` for what can't work, before anything is written or trained."""
        metrics = [name for evaluator in self.evaluators.values() for name in evaluator.metrics()]
        for name in self.plan.wanted:
            if name not in metrics:
                raise WrongUse(f"no evaluator here yields the metric '{name}'; {near(name, metrics)}")
        self._check_recipe()
        self._check_task()
        for evaluator in self.evaluators.values():
            evaluator.prepare(self.context)
            evaluator.look_over(self.space)
        self._check_feasible()

    def _check_recipe(self) -> None:
        tree = getattr(self.space, "tree", None)
        if without_recipe(tree) is not tree and not self.main.trains_by_recipe:
            raise WrongUse(
                f"the space '{self.space.name}' brings recipes, by which the evaluator '{self.plan.evaluator}' doesn't "
                "train; search the networks alone, or say --evaluator training"
            )
        if tree is not None and without_recipe(tree) is not tree and self.data is not None:
            from evaluators.training_loss import check_searched

            for recipe in getattr(tree.recipe, "options", (tree.recipe,)):
                check_searched(recipe, self.data)

    def _check_task(self) -> None:
        """Raise `WrongUse` where the space's networks don't do what the data set asks."""
        from search_spaces.space import Space

        if not self.main.by_task or self.data is None or not isinstance(self.space, Space):
            return
        from evaluators.fitting import check_space

        check_space(self.space, self.data)

    def _check_feasible(self) -> None:
        """Look for one architecture that keeps the constraints on cheap metrics, the smallest that is easily found."""
        cheap = [evaluator for evaluator in self.evaluators.values() if evaluator.cheap]
        known = {name for evaluator in cheap for name in evaluator.metrics()}
        constraints = [c for c in self.plan.parsed_constraints if c.metric in known]
        if not constraints or self.main.self_contained:
            return

        def values(architecture: Any) -> dict[str, float]:
            proposal = Proposal(architecture, self.space.digest(architecture))
            return {k: v for e in cheap for k, v in e.evaluate(proposal, self.context).values.items()}

        _, found = descend(self.space, values, constraints)
        if not feasible(found, constraints):
            broken = next(c for c in constraints if c.excess(found[c.metric]) > 0)
            extreme = "smallest" if broken.upper else "largest"
            raise WrongUse(
                f"the constraint {broken} can't be met: the {extreme} architecture of '{self.space.name}' "
                f"has {broken.metric} {found[broken.metric]:,.0f}; loosen it or use another space"
            )

    def work(
        self,
        evaluator: str,
        proposal: Proposal,
        checkpoint: str | None = None,
        parents: Sequence[str] = (),
        seconds: float | None = None,
        sent: float | None = None,
        final: bool = False,
        say: Callable[[str], None] = silent,
    ) -> Evaluation:
        """One part of an evaluation; errors are outcomes. The paths of files are relative to the study's folder.

        `seconds` is how long it may take from when it was `sent` (`time.time()`; a worker may have had to start first),
        `final` that its figures are to be handed over (see `Context`).
        """
        # Clocks of two hosts may differ, by more than a start takes, so not all of it is believed.
        late = 0.0 if sent is None else min(max(0.0, time.time() - sent), LATEST_S)
        until = None if seconds is None else time.monotonic() + seconds - late
        parents_files = tuple(self.context.folder / path for path in parents)
        context = replace(self.context, parents=parents_files, until=until, final=final, say=say)
        if checkpoint is not None:
            context = replace(context, checkpoint=context.folder / checkpoint)
        return attempt(self.evaluators[evaluator], proposal, context)

    def close(self) -> None:
        """Let go of what evaluators hold: processes, files."""
        for evaluator in self.__dict__.get("evaluators", {}).values():
            close = getattr(evaluator, "close", None)
            if close is not None:
                close()


def _label(evaluator: Evaluator) -> str:
    """How the study names a part: `cost`, `training`, `latency@host`."""
    kind, _, device = evaluator.resource.partition(":")
    return f"{evaluator.name}@{device}" if kind == "device" else evaluator.name or type(evaluator).__name__


def descend(space: SearchSpace, values: Any, constraints: Sequence[Constraint]) -> tuple[Any, dict[str, float]]:
    """Walk from the first options downhill in the constraints' excess, one decision at a time; stops when all hold."""

    def excess(found: Mapping[str, float]) -> float:
        return sum(c.excess(found[c.metric]) for c in constraints)

    best = next(iter(space.enumerate()))
    found = values(best)
    for _ in range(100):
        if excess(found) == 0:
            break
        improved = False
        for neighbour in space.neighbours(best):
            other = values(neighbour)
            if excess(other) < excess(found):
                best, found, improved = neighbour, other, True
                break
        if not improved:
            break
    return best, found


__all__ = ["DEVICE_METRICS", "Experiment", "Plan", "descend"]

"""Starting a search, or going on with one: from a plan to a study, a controller, a launcher and the loop."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from archfront.about import about, advice, found, recipe_of
from archfront.budget.planning import wanted, with_spending
from archfront.budget.spending import Spending
from archfront.budget.timetable import Timetable
from archfront.contracts import WrongUse, plural
from archfront.launchers.base import Launcher, find
from archfront.plan import Experiment, Plan
from archfront.search import Budget, Listener, Progress, Search
from archfront.start import with_start
from archfront.study import FINISHED, Database, Study, create_study
from archfront.warm_start import begun_with
from controllers.base import CONTROLLERS, Controller, create, doubts
from controllers.given import read
from search_spaces.canonical import to_json
from search_spaces.errors import SpaceError

SAME = (
    *("space", "decisions", "where", "data", "evaluator", "evaluator_settings", "search_recipe", "device"),
    *("objectives", "constraints"),
)
"""What a study can't change when it goes on, since its results would no longer compare."""

MANY = 10_000
"""Evaluations to be expected where they are cheap and only time limits them."""


@dataclass(frozen=True)
class Order:
    """What the user ordered: the plan, where it is kept, how it is searched, and when it ends."""

    plan: Plan
    study: str
    url: str
    controller: str = ""
    controller_settings: Mapping[str, Any] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    workers: int = 1
    launcher: str = ""
    launcher_settings: Mapping[str, Any] = field(default_factory=dict)
    ray_address: str | None = None
    warm_start: str = ""
    start: str = ""
    choices: Mapping[str, Any] = field(default_factory=dict)
    """What was decided of the plan for a budget of time (`archfront.budget`), or whether there is to be one: `on`."""
    begun: float = field(default_factory=time.monotonic, compare=False)


def search(order: Order, listener: Listener | None = None) -> tuple[Study, Progress]:
    """Run the search that was ordered; a study of that name goes on. Raises `WrongUse` before anything is written."""
    if order.budget.evaluations is None and order.budget.minutes is None:
        raise WrongUse("a search needs a budget: --evaluations N, --minutes M, or both")
    progress = Progress(budget=order.budget, began=order.begun, started=order.begun)
    at = _stages(progress, listener)
    at(f"reading the data '{order.plan.data}'" if order.plan.data else "getting ready")
    launcher_class, launcher_settings = _launcher(order)
    plan = order.plan.qualified()
    database = _existing(order.url)
    order, plan = with_start(order, plan, database)
    known = _known(database, order.study)
    folder = (database or Database.planned(order.url)).folder / order.study
    experiment = Experiment(replace(plan, folder=str(folder)))
    spending: Spending | None = None
    good: list[Any] = []
    if wanted(order, known):
        at("timing a few networks, to plan the budget")
        order, spending, good = with_spending(order, experiment, known)
        experiment = Experiment(replace(order.plan.qualified(), folder=str(folder)), experiment.data)
    plan = experiment.plan
    if not plan.objectives:
        raise WrongUse("a search needs an objective; say, for example, --objective accuracy --objective latency_ms")
    controller = make_controller(order, experiment)
    at("checking that evaluations can run")
    experiment.check()
    controller.set_epochs(experiment.epochs)
    launcher_class.check(launcher_settings, experiment, controller)
    settings = {**describe(order, experiment), **({"spending": spending.to_json()} if spending else {})}
    if known is not None:
        _check_same(known, settings, experiment)
    begun = _begun_with(order, experiment, database, good)
    study = known or _create(order, experiment, {**settings, **begun}, controller)
    # From what the study keeps, so that it goes on with the same whatever has become of the file, or the other study.
    controller.begin_with(read(experiment.space, study.settings.get("warm_start_architectures") or []))
    folder.mkdir(parents=True, exist_ok=True)
    progress.found, progress.notes = found(experiment), notes(order, controller, spending) + advice(experiment)
    progress.about = about(experiment, order.workers, launcher_name(order))
    if spending is not None:
        progress.about += spending.lines(time.monotonic() - order.begun)
    at(f"starting {plural(order.workers, 'worker')}")
    with launcher_class(plan, order.workers, experiment, **launcher_settings) as launcher:
        evaluators, graded = experiment.evaluators, experiment.graded
        table = Timetable(spending, order.begun) if spending else None
        search = Search(
            study, experiment.space, controller, evaluators, launcher, order.budget, listener, graded, progress, table
        )
        return study, search.run()


def plan_for(order: Order) -> Spending:
    """What the budget would be spent on, without a search; raises `WrongUse` where there is nothing to plan."""
    known = _known(_existing(order.url), order.study)
    if not wanted(replace(order, choices={**order.choices, "on": True}), known):
        raise WrongUse(f"the study '{order.study}' was started without a plan; another --study gets one")
    return with_spending(order, Experiment(order.plan.qualified()), known).spending


def _stages(progress: Progress, listener: Listener | None) -> Callable[[str], None]:
    """Says what a search does before its first candidate."""

    def at(stage: str) -> None:
        progress.enter(stage)
        if listener is not None:
            listener(progress)

    return at


def notes(order: Order, controller: Controller, spending: Spending | None = None) -> list[str]:
    """What the user should know of how it is searched: what was picked and why, and settings that make no sense."""
    said = [controller.note] if controller.note else []
    expected = order.budget.evaluations or (spending.candidates if spending else None)
    return said + doubts(controller, expected)


def make_controller(order: Order, experiment: Experiment) -> Controller:
    """The controller that was ordered, or `auto`; told how many evaluations there will be where it takes that."""
    plan, name, settings = experiment.plan, order.controller or "auto", dict(order.controller_settings)
    if getattr(CONTROLLERS.get(name), "takes_evaluations", False):
        many = MANY if experiment.main.cheap else 0
        settings.setdefault("evaluations", order.budget.evaluations or many)
    return create(name, experiment.space, plan.parsed_objectives, plan.parsed_constraints, plan.seed, settings)


def describe(order: Order, experiment: Experiment) -> dict[str, Any]:
    """What the study keeps of how it was made, as JSON values."""
    settings = experiment.plan.to_json()
    del settings["folder"]
    data = experiment.data
    if data is not None:
        settings |= {"inputs": list(data.inputs), "outputs": data.outputs, "data_sha256": data.sha256}
    identity = experiment.main.identity()
    if identity:
        settings["evaluator_identity"] = identity
    recipe = recipe_of(experiment)
    return {
        **settings,
        "space": experiment.plan.space or experiment.space.name,
        "recipe": to_json(recipe, whole=True) if recipe is not None else {},
        **({"data_found": lines} if (lines := found(experiment)) else {}),
        "controller": order.controller,
        "controller_settings": dict(order.controller_settings),
        "workers": order.workers,
        "launcher": order.launcher,
        "launcher_settings": dict(order.launcher_settings),
        **({"warm_start": order.warm_start} if order.warm_start else {}),
    }


def _begun_with(
    order: Order, experiment: Experiment, database: Database | None, good: Sequence[Any] = ()
) -> dict[str, Any]:
    """What the study keeps of its warm start: the architectures, as JSON values, then those `good` ones by the plan."""
    found = begun_with(order.warm_start, experiment, order.study, database) if order.warm_start else []
    found += [architecture for architecture in good if architecture not in found]
    if not found:
        return {}
    return {"warm_start_architectures": [experiment.space.to_json(architecture) for architecture in found]}


def _existing(url: str) -> Database | None:
    planned = Database.planned(url)
    if planned.file is not None and not planned.file.exists():
        return None
    return Database(url, create=True)


def _known(database: Database | None, name: str) -> Study | None:
    if database is None:
        return None
    return Study(database, name) if database.has(name) else None


def _check_same(study: Study, settings: Mapping[str, Any], experiment: Experiment) -> None:
    for key in (*SAME, "data_sha256", "evaluator_identity", "warm_start"):
        before, now = (kept.get(key) or None for kept in (study.settings, settings))
        if before != now:
            raise WrongUse(
                f"the study '{study.name}' was started with {key} = {before!r}, not {now!r}; "
                "go on with the same, or start another with --study"
            )
    if study.seed != experiment.plan.seed:
        raise WrongUse(f"the study '{study.name}' was started with --seed {study.seed}; go on with it")
    if study.fingerprint != experiment.space.fingerprint():
        _check_inside(study, experiment)


def _check_inside(study: Study, experiment: Experiment) -> None:
    """A space may have grown since the study began, but not have lost what was evaluated."""
    for row in study.rows():
        if row.origin == FINISHED:
            continue
        try:
            inside = experiment.space.from_json(study.candidate(row.digest).architecture) in experiment.space
        except SpaceError:
            inside = False
        if not inside:
            raise WrongUse(
                f"the space '{experiment.space.name}' has changed: candidate {row.number} of the study '{study.name}' "
                "is no longer in it; use the earlier space, or start another study with --study"
            )


def _create(order: Order, experiment: Experiment, settings: Mapping[str, Any], controller: Controller) -> Study:
    return create_study(
        Database(order.url, create=True),
        order.study,
        space=experiment.plan.space or experiment.space.name,
        fingerprint=experiment.space.fingerprint(),
        settings=settings,
        objectives=controller.objectives,
        constraints=controller.constraints,
        seed=experiment.plan.seed,
    )


def launcher_name(order: Order) -> str:
    """The launcher that was ordered, or the one that suits the number of workers."""
    return order.launcher or ("ray" if order.workers > 1 or order.ray_address else "inline")


def _launcher(order: Order) -> tuple[type[Launcher], dict[str, Any]]:
    """The launcher that was ordered, and its settings; raises `WrongUse` at once where it can't be made."""
    name = launcher_name(order)
    cls = find(name, order.workers, order.launcher_settings)
    if not order.ray_address:
        return cls, dict(order.launcher_settings)
    if "address" not in cls.accepts():
        raise WrongUse(f"the launcher '{name}' joins no cluster; leave ray_address out, or say --launcher ray")
    return cls, {"address": order.ray_address, **order.launcher_settings}


__all__ = ["Order", "search"]

"""From an order with a budget of time to the plan for it: space, recipe, controller, and what they are given."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from archfront.budget.known_good import SPACE, Pace, macs_of, portfolio_of, suits
from archfront.budget.spending import Choices, Spending, good_epochs, planned
from archfront.budget.timing import NETWORKS, Timed, drawn, timed
from archfront.contracts import WrongUse
from archfront.plan import Experiment
from search_spaces.canonical import text
from search_spaces.errors import near
from search_spaces.parts import Part
from search_spaces.specs import spelled

if TYPE_CHECKING:
    from archfront.run import Order
    from archfront.study import Study

CONTROLLER = "screening"
TIMING = (0.04, 20.0)
"""The share of the budget, and the seconds, that the timing of networks takes at most."""
STABLE = {"schedule": "warmup_stable_decay(decay=0.5)", "averaging": "ema(decay=0.99)"}
"""What lets a training be compared at any epoch, and be ended at any: a rate that stays, and averaged weights."""
KNOWN, LEAST_KNOWN = 0.7, 4
"""The share of the screened that are networks known to be good, and the fewest of them."""
WARM_STEPS = 100
"""Of the warm-up, at least an epoch."""


def choices(values: Mapping[str, Any]) -> Choices:
    """What the user said of the plan (`[plan]` of a study file, `--set plan.KEY=VALUE`); raises `WrongUse`."""
    known = Choices.__dataclass_fields__
    for key in values:
        if key not in known and key != "on":
            raise WrongUse(f"the plan has no choice '{key}'; {near(key, [*known, 'on'])}")
    given = {key: value for key, value in values.items() if key != "on"}
    if isinstance(given.get("rungs"), list):
        given["rungs"] = tuple(given["rungs"])
    for key, kinds in (("portfolio", bool), ("recipe", bool), ("epochs", int)):
        if key in given and not isinstance(given[key], kinds):
            raise WrongUse(f"plan.{key}={given[key]!r}: say {'a whole number' if kinds is int else 'true or false'}")
    finals = given.get("finals")
    if finals is not None and not (isinstance(finals, bool) or (isinstance(finals, int) and finals > 0)):
        raise WrongUse(f"plan.finals={finals!r}: say how many, or true or false")
    rungs = given.get("rungs")
    if rungs is not None and not isinstance(rungs, bool):
        whole = isinstance(rungs, tuple) and all(isinstance(one, int) and one > 0 for one in rungs)
        if not whole or list(rungs) != sorted(set(rungs)) or not rungs:
            raise WrongUse(f"plan.rungs={rungs!r}: say ascending epochs, as in plan.rungs=[2,6], or true or false")
    return Choices(**given)


def wanted(order: "Order", known: "Study | None") -> bool:
    """Whether the budget is to be planned: one of time, for trainings whose length and controller nobody has chosen."""
    said = order.choices.get("on")
    why_not = _unplannable(order)
    if said is True and why_not:
        raise WrongUse(f"the budget can't be planned: {why_not}")
    if said is False:
        return False
    if known is not None:
        return bool(known.settings.get("spending")) and order.budget.minutes is not None
    return not why_not


def _unplannable(order: "Order") -> str:
    """Why the plan isn't for this order; empty where it is."""
    plan, settings = order.plan, order.plan.evaluator_settings
    if order.budget.minutes is None or order.budget.evaluations is not None:
        return "it is for a budget of minutes alone"
    if plan.evaluator != "training" or plan.search_recipe:
        return "it is for trainings whose recipe isn't searched"
    if order.controller not in ("", CONTROLLER) or order.launcher == "ray-tune":
        return "a controller, or a launcher that stops trainings itself, was chosen"
    if "epochs" in settings and order.controller != CONTROLLER:
        return "the number of epochs was chosen"
    if settings.get("seeds", 1) != 1 or settings.get("inherit"):
        return "each candidate is to be trained several times, or from other weights"
    return ""


class Planned(NamedTuple):
    """An order with all that the plan decides, the plan itself, and the networks that the search begins with."""

    order: "Order"
    spending: Spending
    portfolio: list[Any]


def with_spending(order: "Order", experiment: Experiment, known: "Study | None") -> Planned:
    """The order with what the plan decides; a study that goes on keeps what it began with.

    Raises `WrongUse` for a budget that is too small for the data.
    """
    data, decided = experiment.data, choices(order.choices)
    if data is None:
        raise WrongUse("the budget can't be planned without a data set; say --data")
    seconds = 60.0 * (order.budget.minutes or 0.0)
    if known is None:
        settings = suited(data, decided, order.plan.evaluator_settings)
        order = replace(order, plan=replace(order.plan, evaluator_settings=settings))
        experiment = Experiment(replace(experiment.plan, evaluator_settings=settings), data)
    steps = _steps(experiment)
    if known is not None:
        before = Spending.from_json(known.settings["spending"])
        found = planned(seconds, order.workers, _timed_before(before), steps, decided, before.known, _used(order))
        found = replace(found, rungs=before.rungs, good_epochs=before.good_epochs, epochs=before.epochs)
        return Planned(replace(order, plan=replace(order.plan, effort=before.effort)), found, [])
    if not order.plan.space and suits(data):
        order = replace(order, plan=replace(order.plan, space=SPACE))
        experiment = Experiment(replace(experiment.plan, space=SPACE), data)
    good = portfolio_of(experiment) if decided.portfolio else []
    (share, most), start = TIMING, _used(order)
    took = timed(experiment, good[:NETWORKS] or drawn(experiment), min(share * seconds, most))
    spending = planned(
        seconds, order.workers, took, steps, decided, used=_used(order), start=start, measures=_measures(experiment)
    )
    good = _affordable(experiment, good, took, spending)
    spending = replace(spending, known=len(good))
    plan = replace(order.plan, evaluator_settings={**_staying(spending, steps), **order.plan.evaluator_settings})
    plan = replace(plan, effort=spending.effort)
    plan = replace(plan, evaluator_settings={**plan.evaluator_settings, "epochs": spending.epochs})
    return Planned(replace(order, plan=plan, **_controller(spending)), spending, good)


def _affordable(experiment: Experiment, good: list[Any], took: list[Timed], spending: Spending) -> list[Any]:
    """The first of the networks known to be good that the budget can train to the end, as many as may be screened."""
    pace, found = Pace(took), []
    for architecture in good:
        macs = macs_of(experiment, architecture)
        if macs is not None and spending.affords(pace.epoch_s(macs)):
            found.append(architecture)
    return found[: max(LEAST_KNOWN, round(KNOWN * spending.candidates))]


def _measures(experiment: Experiment) -> bool:
    """Whether candidates are measured on a device."""
    return any(one.resource.startswith("device:") for one in experiment.evaluators.values())


def _used(order: "Order") -> float:
    """The seconds since the order was given."""
    return time.monotonic() - order.begun


def _timed_before(before: Spending) -> list[Timed]:
    epochs = (before.fastest_s, before.epoch_s, before.slowest_s)
    return [Timed("", epoch_s, before.tests_s) for epoch_s in epochs]


def _steps(experiment: Experiment) -> int:
    """The steps of an epoch."""
    size = experiment.data.train.size
    recipe = experiment.main.recipe(experiment.data)  # type: ignore[attr-defined]
    return max(1, size // min(recipe.batch_size, size))


def suited(data: Any, decided: Choices, given: Mapping[str, Any]) -> dict[str, Any]:
    """The evaluator's settings: what suits trainings from scratch of this data set, below what was given."""
    from evaluators.recipe import default_recipe
    from evaluators.recipes.training import FIELDS
    from evaluators.suited_recipe import budget_recipe

    if not decided.recipe or any(given.get(key) for key in ("pretrained", "weights", "start")):
        return dict(given)
    usual = default_recipe(data)
    epochs = decided.epochs or good_epochs(max(1, data.train.size // min(usual.batch_size, data.train.size)))
    recipe = budget_recipe(data, epochs)
    changed = {name: getattr(recipe, name) for name in FIELDS if getattr(recipe, name) != getattr(usual, name)}
    texts = {name: spelled(text(value)) if isinstance(value, Part) else value for name, value in changed.items()}
    return {**{name: value for name, value in texts.items() if name != "epochs"}, **given}


def _staying(spending: Spending, steps: int) -> dict[str, Any]:
    """The settings of the evaluator that let trainings be compared at any epoch, and end when time is over."""
    whole = spending.epochs * steps
    return {**STABLE, "warmup": round(min(0.1, max(steps, WARM_STEPS) / whole), 6)}


def _controller(spending: Spending) -> dict[str, Any]:
    """Who proposes: the screening, or where nothing is screened, the controller that suits the budget."""
    if not spending.rungs:
        return {}
    return {
        "controller": CONTROLLER,
        "controller_settings": {"rungs": list(spending.rungs), "finals": not spending.finals},
    }

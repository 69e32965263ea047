"""What `--start` means: whose weights a search's trainings begin with, and which candidates it begins with."""

from dataclasses import replace
from typing import TYPE_CHECKING

from archfront.contracts import WrongUse
from archfront.plan import Plan
from archfront.study import Database, Study
from evaluators.base import find, parse

if TYPE_CHECKING:
    from archfront.run import Order

STUDY = "study:"


def with_start(order: "Order", plan: Plan, database: Database | None) -> "tuple[Order, Plan]":
    """The order and plan in which `order.start`, `study:NAME` or a folder, is a setting of the evaluator: the folder.

    Where it is a study, and no other warm start is asked for, that study's best candidates come first. Raises
    `WrongUse` for a study that there isn't, and for an evaluator that trains nothing.
    """
    if not order.start:
        return order, plan
    if not find(parse(plan.evaluator)[0]).trains_by_recipe:
        raise WrongUse(f"--start {order.start}: the evaluator '{plan.evaluator}' trains no candidates; leave it out")
    folder = order.start
    if order.start.startswith(STUDY):
        name = order.start.removeprefix(STUDY)
        if name == order.study:
            raise WrongUse(f"--start {order.start}: this is the study itself; name another, or this one with --study")
        if database is None:
            raise WrongUse(f"--start {order.start}: there is no database yet, so no study; see --db")
        folder = str(database.folder / Study(database, name).name)
        order = replace(order, warm_start=order.warm_start or f"{STUDY}{name}")
    return order, replace(plan, evaluator_settings={**plan.evaluator_settings, "start": folder})

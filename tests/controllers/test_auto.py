"""What the default controller picks, and that it is then that controller."""

from random import Random

import pytest

from archfront.contracts import Evaluation, Metric, Objective, Proposal
from controllers import CONTROLLERS, Controller
from controllers.auto import pick
from controllers.base import create
from controllers.testing import GRID

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency", "min"))


@pytest.mark.parametrize(
    ("size", "objectives", "evaluations", "picked"),
    [
        (216, 2, 216, "exhaustive"),
        (216, 2, 100, "model-based"),
        (10**30, 2, 0, "model-based"),
        (None, 1, 500, "model-based"),
        (10**30, 2, 50_000, "pareto-evolution"),
        (10**30, 1, 50_000, "regularized-evolution"),
        (10**30, 2, 8, "pareto-evolution"),
    ],
)
def test_what_is_picked(size, objectives, evaluations, picked):
    name, reason = pick(size, objectives, evaluations)
    assert name == picked and 20 < len(reason) < 120


def test_it_searches_as_the_one_that_it_picked():
    def result(proposal: Proposal) -> Evaluation:
        a, b, c = proposal.architecture.values
        return Evaluation(proposal, metrics=(Metric("accuracy", a + b), Metric("latency", a * a + c)))

    searches = [
        CONTROLLERS.get("auto")(GRID, OBJECTIVES, (), 3, evaluations=5000),
        CONTROLLERS.get("exhaustive")(GRID, OBJECTIVES, (), 3),
    ]
    asked = []
    for search in searches:
        asked.append([])
        for _ in range(20):
            batch = search.ask(2)
            asked[-1] += batch
            search.tell(map(result, batch))
    assert asked[0] == asked[1] and searches[0].archive.front == searches[1].archive.front != []


OVERRIDABLE = [name for name, value in vars(Controller).items() if isinstance(value, property) or callable(value)]
"""All that a controller's class may say otherwise than `Controller` does."""


@pytest.mark.parametrize("name", [name for name in OVERRIDABLE if name != "__init__" and not name.endswith("__")])
def test_the_controller_that_was_picked_answers(name, monkeypatch):
    search = CONTROLLERS.get("auto")(GRID, OBJECTIVES, evaluations=5000)
    picked = CONTROLLERS.get("exhaustive")
    asked = []
    if isinstance(vars(Controller)[name], property):
        monkeypatch.setattr(picked, name, property(lambda self: asked.append(name) or "yes"))
        assert "yes" in str(getattr(search, name))
    else:
        monkeypatch.setattr(picked, name, lambda self, *values: asked.append(values))
        given = {"architecture": ("a",), "proposal": ("a", "origin", ()), "restore": ((), ())}.get(name, (Random(0),))
        getattr(search, name)(*(() if name == "_left" else given))
    assert asked


def test_it_can_be_what_brackets_are_over():
    def searched(of: str, **settings: int) -> list[Proposal]:
        search = create("asha", GRID, OBJECTIVES, settings={"of": of, "min_fidelity": 1 / 3, "settings": settings})
        asked = []
        for _ in range(30):
            asked += search.ask(1)
            a, b, c = asked[-1].architecture.values
            search.tell([Evaluation(asked[-1], metrics=(Metric("accuracy", a + b), Metric("latency", a * a + c)))])
        return asked

    assert searched("auto", evaluations=5000) == searched("exhaustive")

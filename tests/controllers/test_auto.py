"""What the default controller picks, and that it is then that controller."""

import pytest

from archfront.contracts import Evaluation, Metric, Objective, Proposal
from controllers import CONTROLLERS
from controllers.auto import pick
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

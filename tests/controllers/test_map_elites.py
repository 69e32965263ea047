"""What is particular to MAP-Elites: cells, what is best in one, and which axes there are."""

from random import Random

import pytest

from archfront.contracts import Constraint, Evaluation, Metric, Objective, WrongUse, judged
from controllers.base import create
from controllers.testing import GRID, OBJECTIVES, WIDE, measured

GOOD = Objective("good", "max")


def evaluated(proposal, **values):
    return Evaluation(proposal, metrics=tuple(Metric(name, float(value)) for name, value in values.items()))


def told(search, count, function):
    evaluations = []
    for _ in range(count):
        [proposal] = search.ask(1)
        a, b, c = proposal.architecture.values
        evaluations.append(judged(evaluated(proposal, **function(a, b, c)), search.constraints))
        search.tell(evaluations[-1:])
    return evaluations


def test_each_cell_holds_the_best_that_was_seen_in_it():
    search = create("map-elites", GRID, [GOOD], settings={"axes": "x, y", "bins": 3})
    every = told(search, 80, lambda a, b, c: {"x": a, "y": b, "good": c - abs(a - b)})
    best: dict[tuple[int, ...], float] = {}
    for evaluation in every:
        cell = search.cell(evaluation.values)
        best[cell] = max(best.get(cell, -9.0), evaluation.values["good"])
    found = {search.cell(member.values): member.values["good"] for member in search.elites}
    assert found == best and len(found) == 9


def test_cells_are_bounded_by_quantiles_whatever_the_scale():
    search = create("map-elites", WIDE, [GOOD], settings={"axes": ["x", "y"], "bins": 4, "start": 125})
    rng = Random(1)
    for proposal in search.ask(125):
        search.tell([evaluated(proposal, good=0, x=10 ** rng.uniform(0, 6), y=rng.random() - 1e6)])
    for axis in range(2):
        counts = [0] * 4
        for member in search._members:
            counts[search.cell(member.values)[axis]] += 1
        assert min(counts) > 20 and sum(counts) == 125


def test_the_feasible_is_the_best_of_its_cell():
    search = create("map-elites", GRID, [GOOD], [Constraint("heat", 2.0)], settings={"axes": "x,y", "bins": 2})
    every = told(search, 80, lambda a, b, c: {"x": a, "y": b, "good": c, "heat": c})
    assert any(evaluation.values["heat"] > 2 for evaluation in every)
    assert len(search.elites) == 4
    assert all(member.values["heat"] == 2 for member in search.elites)


def test_parents_come_from_all_cells_alike():
    search = create("map-elites", GRID, [GOOD], settings={"axes": "x,y", "bins": 3, "crossover": 0.0})
    told(search, 60, lambda a, b, c: {"x": a, "y": b, "good": c})
    drawn = [search.propose(Random(i)).parents[0] for i in range(1800)]
    counts = [drawn.count(member.digest) for member in search.elites]
    assert sum(counts) == 1800 and len(counts) == 9 and min(counts) > 140


@pytest.mark.parametrize(
    ("objectives", "constraints", "axes"),
    [
        (3, (), ("latency", "params")),
        (2, (Constraint("heat", 5.0),), ("latency", "heat")),
        (2, (), ("latency", "macs")),
        (1, (), ("macs", "even")),
    ],
)
def test_axes_follow_from_objectives_constraints_and_costs(objectives, constraints, axes):
    search = create("map-elites", GRID, OBJECTIVES[:objectives], constraints)
    values = {"accuracy": 1, "even": 0, "latency": 2, "params": 3, "heat": 4, "macs": 5}
    if objectives == 2 or objectives == 1:
        del values["params"]
    search.tell([evaluated(proposal, **values) for proposal in search.ask(1)])
    assert search.axes == axes


def test_what_cannot_be_is_refused():
    for wrong in ("params", "params,params", ["a", "b", "c"]):
        with pytest.raises(WrongUse, match="two metrics as its axes"):
            create("map-elites", GRID, [GOOD], settings={"axes": wrong})
    with pytest.raises(WrongUse, match="bins >= 2"):
        create("map-elites", GRID, [GOOD], settings={"bins": 1})
    search = create("map-elites", GRID, [GOOD])
    with pytest.raises(WrongUse, match="sees no metric but good"):
        search.tell([evaluated(proposal, good=1) for proposal in search.ask(1)])


def test_a_candidate_that_lacks_an_axis_is_passed_over():
    search = create("map-elites", GRID, [GOOD], settings={"axes": "accuracy,heat"})
    search.tell([evaluated(proposal, good=1, heat=2) for proposal in search.ask(1)])
    assert search.elites == [] and search.archive.front
    search.tell(map(measured, search.ask(1)))

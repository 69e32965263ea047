"""What is particular to Optuna's samplers: their generations, their settings, and rows that a table doesn't have."""

from importlib.util import find_spec

import pytest

from archfront.contracts import Constraint, Evaluation, Metric, Objective, Status, WrongUse
from controllers import CONTROLLERS
from controllers.base import create
from controllers.testing import GRID, LAYERS
from search_spaces.decisions import INACTIVE
from search_spaces.table import TableSpace

GOAL = [Objective("x", "max")]


def told(search, count: int) -> None:
    for _ in range(count):
        [proposal] = search.ask(1)
        search.tell([Evaluation(proposal, metrics=(Metric("x", float(sum(proposal.architecture.values))),))])


@pytest.mark.parametrize("population", [2, 5])
def test_generations_follow_from_what_was_told(population):
    search = create("optuna:nsga2", GRID, GOAL, settings={"population_size": population})
    told(search, 12)
    trials = search._study.trials
    complete = [t.system_attrs["NSGAIISampler:generation"] for t in trials if t.values]
    asked = [t.system_attrs["NSGAIISampler:generation"] for t in trials if not t.values]
    # One was asked for, and dropped, before each that was told.
    assert complete == asked == [i // population for i in range(12)]


def test_what_is_under_way_is_running():
    search = create("optuna:tpe", GRID, GOAL)
    batch = search.ask(3)
    search.tell([Evaluation(batch[1], metrics=(Metric("x", 1.0),)), Evaluation(batch[2], Status.FAILED, "no")])
    states = [t.state.name for t in search._study.trials if t.params and t.number in search._trials.values()]
    assert states == ["RUNNING", "COMPLETE", "FAIL"]


def test_conditional_decisions_are_suggested_when_they_are_in_force():
    search = create("optuna:random", LAYERS, GOAL)
    for proposal in search.ask(20):
        genes = LAYERS.genes(proposal.architecture)
        trial = search._study.trials[search._trials[proposal.digest]]
        assert len(trial.params) == sum(gene != INACTIVE for gene in genes)
        assert proposal.origin == "suggestion"


def test_suggestions_of_no_row_become_the_nearest():
    rows = [(a, b) for a in range(10) for b in range(10) if (a + b) % 5 == 0]
    space = TableSpace("sparse", ["a", "b"], rows)
    search = create("optuna:random", space, GOAL)
    found = search.ask(20)
    assert len({proposal.digest for proposal in found}) == 20 == len(rows)
    assert search.ask(1) == []


def test_a_candidate_rejected_early_still_tells_of_the_constraint():
    bound = Constraint("heat", 2.0)
    search = create("optuna:tpe", GRID, GOAL, [bound])
    [cold, hot] = search.ask(2)
    search.tell([Evaluation(hot, Status.INFEASIBLE, "too hot", (Metric("heat", 6.0),))])
    search.tell([Evaluation(cold, metrics=(Metric("heat", 1.0), Metric("x", 1.0)))])
    trials = [search._study.trials[search._trials[p.digest]] for p in (cold, hot)]
    assert [t.state.name for t in trials] == ["COMPLETE", "PRUNED"]
    assert [t.constraints for t in trials] == [{"heat<=2": -0.5}, {"heat<=2": 2.0}]


@pytest.mark.parametrize(
    ("name", "settings", "cause"),
    [
        ("optuna:nsga2", {"population_size": 1}, "Optuna refuses the settings"),
        ("optuna:nsga3", {"population_size": 1}, "Optuna refuses the settings"),
        ("optuna:tpe", {"population_size": 10}, "no setting 'population_size'"),
    ],
)
def test_wrong_settings_are_one_line(name, settings, cause):
    with pytest.raises(WrongUse, match=cause):
        create(name, GRID, GOAL, settings=settings)


def test_cma_es_says_what_it_cannot():
    words = TableSpace("words", ["a"], [("x",), ("y",)])
    cases = [(GRID, [*GOAL, Objective("y", "min")], ()), (GRID, GOAL, [Constraint("heat", 1.0)]), (words, GOAL, ())]
    causes = ["one objective", "no constraints", "numbers"] if find_spec("cmaes") else ["pip install cmaes"] * 3
    for (space, objectives, constraints), cause in zip(cases, causes, strict=True):
        with pytest.raises(WrongUse, match=cause):
            create("optuna:cmaes", space, objectives, constraints)


def test_all_are_listed_without_loading_optuna():
    assert {"optuna:cmaes", "optuna:gp", "optuna:nsga2", "optuna:nsga3", "optuna:random", "optuna:tpe"} <= set(
        CONTROLLERS.names("optuna:*")
    )

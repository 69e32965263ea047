"""Given architectures: proposed as they stand, once each; then the end, or whatever controller began with them."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from archfront.contracts import Evaluation, Metric, Objective, Proposal, WrongUse
from controllers.base import CONTROLLERS, Controller, create
from controllers.given import Given
from controllers.testing import GRID, measured
from search_spaces.errors import SpaceError
from search_spaces.spaces import get_space

SPACE = get_space("cell201")
CHOSEN = [SPACE.sample(seed) for seed in range(3)]
TEXTS = [SPACE.to_text(architecture) for architecture in CHOSEN]
GOAL = [Objective("accuracy", "max")]
GOALS = [*GOAL, Objective("latency", "min")]
START = 6
OWN_START: dict[str, dict[str, Any]] = {
    "auto": {"evaluations": 100},
    "nsga2": {"population": START},
    "nsga3": {"population": START},
    "regularized-evolution": {"population": START, "tournament": 2},
    **{name: {"start": START} for name in ("pareto-evolution", "model-based", "map-elites", "reinforce", "ppo")},
    "generative": {"start": START},
    **{name: {"n_startup_trials": START} for name in ("optuna:tpe", "optuna:gp")},
    **{name: {"population_size": START} for name in ("optuna:nsga2", "optuna:nsga3")},
}
"""Controllers that draw candidates at random before they use what they have learnt."""


def told(controller: Controller, count: int) -> list[Proposal]:
    """What a search of one worker with this controller proposes."""
    found = []
    for _ in range(count):
        for proposal in controller.ask(1):
            found.append(proposal)
            controller.tell([Evaluation(proposal, metrics=(Metric("accuracy", 1.0 / (1 + len(found))),))])
    return found


def test_proposes_the_list_and_ends() -> None:
    found = told(Given(SPACE, GOAL, architectures=[*TEXTS, TEXTS[0]]), 9)
    assert [proposal.architecture for proposal in found] == CHOSEN
    assert {proposal.origin for proposal in found} == {"given"}


def test_takes_a_file(tmp_path: Path) -> None:
    file = tmp_path / "chosen.json"
    file.write_text(json.dumps([json.loads(text) for text in TEXTS]))
    assert [p.architecture for p in Given(SPACE, GOAL, file=str(file)).ask(9)] == CHOSEN
    file.write_text(TEXTS[1])
    assert [p.architecture for p in Given(SPACE, GOAL, file=str(file)).ask(9)] == [CHOSEN[1]]


def begun(name: str, architectures: list[Any]) -> Controller:
    """The controller on the grid, begun with these architectures."""
    made = create(name, GRID, GOALS, (), 4, OWN_START[name])
    made.begin_with(architectures)
    return made


@pytest.mark.parametrize("name", [n for n in OWN_START if n in CONTROLLERS.names()])
def test_what_a_controller_begins_with_counts_as_its_start(name: str) -> None:
    # Of a cheap corner, in which nothing fails: what is learnt there can't be mistaken for chance.
    every = [Proposal(a, GRID.digest(a)) for a in GRID.enumerate()]
    good = [p.architecture for p in every if len(measured(p).metrics) == 5][: 10 if name == "auto" else START]
    search = begun(name, good)
    asked, results = [], []
    for _ in range(len(good) + 4):
        asked += search.ask(1)
        results.append(measured(asked[-1]))
        search.tell(results[-1:])
    assert [proposal.architecture for proposal in asked[: len(good)]] == good
    assert {proposal.origin for proposal in asked[: len(good)]} == {"given"}
    after = [proposal.origin for proposal in asked[len(good) :]]
    assert "random" not in after or (name.startswith("optuna") and after.count("random") < 4)

    again = begun(name, good)
    again.restore(asked[:3], results[:3])
    assert again.ask(1)[0].digest == GRID.digest(good[3]), "the list goes on where it was"
    again = begun(name, good)
    again.restore(asked[:-1], results[:-1])
    assert again.ask(1)[0].digest == asked[-1].digest, "a search that was stopped proposes what it would have"


def test_multi_fidelity_begins_with_them_at_the_lowest_rung() -> None:
    search = create("asha", GRID, GOALS, settings={"min_fidelity": 1 / 3})
    search.begin_with([GRID.sample(seed) for seed in (1, 2, 3)])
    search.set_epochs(9)
    asked = []
    for _ in range(12):
        asked += search.ask(1)
        search.tell([measured(asked[-1])])
    first = [p for p in asked if p.fidelity == 3][:3]
    assert [p.digest for p in first] == [GRID.digest(GRID.sample(seed)) for seed in (1, 2, 3)]
    assert {p.fidelity for p in asked} == {3, None}, "those that are promoted come again"


def test_a_list_of_another_space_is_refused() -> None:
    with pytest.raises(SpaceError, match="isn't in the space"):
        create("random", SPACE, GOAL).begin_with([get_space("mobile").sample(Random(0))])


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({}, "needs architectures"),
        ({"architectures": ["{"]}, "number 0 can't be searched"),
        ({"architectures": ['{"part": "network/none"}']}, "number 0"),
        ({"architectures": [get_space("mobile").to_text(get_space("mobile").sample(0))]}, "isn't in the space"),
        ({"file": "nowhere.json"}, "nowhere.json can't be read"),
    ],
)
def test_wrong_lists(settings: dict[str, Any], cause: str) -> None:
    with pytest.raises(WrongUse, match=cause):
        Given(SPACE, GOAL, **settings)

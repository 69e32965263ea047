"""Layer tying: what the agent learns, and that children go on with the weights that ties leave them."""

from pathlib import Path
from typing import Any

import pytest

from archfront.contracts import Evaluation, Metric, Objective, Proposal, WrongUse
from archfront.plan import Plan
from archfront.run import Order, search
from archfront.search import Budget
from controllers.layer_tying import LayerTying
from search_spaces.blocks import Block
from search_spaces.holes import repeat
from search_spaces.space import Space
from search_spaces.spaces.tied import with_ties
from search_spaces.topologies import Network, Stage

SPACE = Space(with_ties(Network("conv3x3", (Stage(8, repeat(6, Block("pool"))),))), "ties")
SCORE = [Objective("score", "max")]


def told(proposal: Proposal, value: float) -> Evaluation:
    return Evaluation(proposal, metrics=(Metric("score", value),))


def score(architecture: Any) -> float:
    """The second layer is as good as the first when it is tied to it; every other tie costs."""
    [row] = architecture.roots
    return float(row[1] == 0) - sum(root != place for place, root in enumerate(row[2:], 2))


def test_the_first_candidates_are_untied_and_children_name_parent_and_action():
    controller = LayerTying(SPACE, SCORE, start=1)
    [first] = controller.ask(1)
    assert first.origin == "root" and first.architecture.roots == (tuple(range(6)),)
    controller.tell([told(first, 0.0)])
    [second] = controller.ask(1)
    assert second.parents == (first.digest,) and second.origin.split()[0] == "tie"
    assert second.architecture.roots != first.architecture.roots


def test_the_agent_learns_which_tie_pays():
    controller = LayerTying(SPACE, SCORE, seed=1, start=1)
    for _ in range(40):
        controller.tell([told(proposal, score(proposal.architecture)) for proposal in controller.ask(1)])
    values = {(place, to): controller.value((0, place, place), to) for place in range(1, 6) for to in range(place)}
    assert values[1, 0] > 0 and max(values, key=values.__getitem__) == (1, 0)
    tried = [value for action, value in values.items() if action != (1, 0) and value]
    assert len(tried) > 3 and max(tried) < 0


@pytest.mark.parametrize("settings", [{"start": 0}, {"lr": 0}, {"discount": 1}, {"temperature": 0}])
def test_wrong_settings_are_refused(settings):
    with pytest.raises(WrongUse, match="layer-tying needs"):
        LayerTying(SPACE, SCORE, **settings)


def test_a_study_ties_layers_of_trained_networks(tmp_path: Path):
    plan = Plan(
        space="tied",
        data="digits",
        evaluator_settings={"inherit": "parent", "epochs": 1, "device": "cpu"},
        objectives=("accuracy:max", "params:min"),
    )
    url = f"sqlite:///{tmp_path}/s.db"
    study, _ = search(Order(plan, "s", url, "layer-tying", {"start": 2}, Budget(evaluations=6)))
    rows = study.rows()
    assert [row.status for row in rows] == ["ok"] * 6
    children = [row for row in rows if row.parents]
    assert len(children) == 4
    for row in children:
        assert any("parent=" in m.provenance.protocol for m in study.candidate(row.digest).metrics)
        ours, parents = (
            {m.name: m.value for m in study.candidate(d).metrics}["params"] for d in (row.digest, row.parents[0])
        )
        assert row.origin.startswith("untie") == (ours > parents)

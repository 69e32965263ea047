"""Greedy growing: it begins small, takes the growth with the best gain per cost, and children inherit."""

from pathlib import Path
from typing import Any

import pytest

from archfront.contracts import Evaluation, Metric, Objective, Proposal, WrongUse
from archfront.plan import Plan
from archfront.run import Order, search
from archfront.search import Budget
from controllers.greedy_growing import GreedyGrowing
from search_spaces.blocks import MLP, Block, Conv3x3Stem, DepthwiseConv
from search_spaces.edits import check_reachable
from search_spaces.holes import integers, repeat
from search_spaces.space import Space
from search_spaces.topologies import Network, Stage

BLOCK = Block(DepthwiseConv(3), MLP(2))
SPACE = Space(Network(Conv3x3Stem(1), (Stage(integers(8, 64, 8), repeat(integers(1, 8), BLOCK)),)), "two sizes")
"""A network grows by 8 channels or by a block."""
SCORE = [Objective("score", "max")]


def sizes(architecture: Any) -> tuple[int, int]:
    [stage] = architecture.stages
    return stage.width // 8, len(stage.blocks)


def grown(gains: tuple[float, float], costs: tuple[float, float], steps: int, **settings: Any) -> list[Proposal]:
    """A search in which each further width and each further block brings and costs what is said."""
    controller = GreedyGrowing(SPACE, SCORE, start=1, tried=2, **settings)
    asked = []
    for _ in range(steps):
        [proposal] = controller.ask(1)
        asked.append(proposal)
        more = [size - 1 for size in sizes(proposal.architecture)]
        score, params = (sum(a * b for a, b in zip(more, each, strict=True)) for each in (gains, costs))
        controller.tell([Evaluation(proposal, metrics=(Metric("score", score), Metric("params", 100 + params)))])
    return asked


def test_it_begins_with_the_smallest_and_grows_by_edits():
    asked = grown((1, 1), (1, 1), 9)
    assert sizes(asked[0].architecture) == (1, 1) and asked[0].origin == "core"
    known = {proposal.digest: proposal.architecture for proposal in asked}
    for proposal in asked[1:]:
        assert proposal.origin.startswith(("grow stages.0.width", "grow stages.0.blocks"))
        check_reachable(known[proposal.parents[0]], proposal.architecture)


@pytest.mark.parametrize(
    ("gains", "costs", "side"),
    [((3, 1), (10, 10), 0), ((1, 3), (10, 10), 1), ((3, 2), (40, 10), 1), ((3, 2), (10, 10), 0)],
)
def test_the_growth_with_the_best_gain_per_cost_is_taken(gains, costs, side):
    """By hand: one size gains more per cost at every step, so the network grows along it alone."""
    asked = grown(gains, costs, 13)
    taken = [proposal.parents[0] for proposal in asked[1:]]
    cores = [p.architecture for p in asked if p.digest in taken]
    assert len(cores) >= 4
    assert [sizes(core)[side] for core in cores] == sorted({sizes(core)[side] for core in cores})
    assert {sizes(core)[1 - side] for core in cores} == {1}


def test_the_cost_is_a_setting():
    """With a metric that isn't measured as the cost, gains alone decide."""
    cores = [p.parents[0] for p in grown((3, 2), (40, 10), 7, cost="latency_ms")[5:]]
    known = {p.digest: p.architecture for p in grown((3, 2), (40, 10), 7, cost="latency_ms")}
    assert {sizes(known[core]) for core in cores} == {(3, 1)}


def test_wrong_settings_are_refused():
    with pytest.raises(WrongUse, match="1 or more"):
        GreedyGrowing(SPACE, SCORE, tried=0)


def test_a_space_without_kinds_has_one_core_however_many_are_asked_for():
    controller = GreedyGrowing(SPACE, SCORE, start=3)
    assert [proposal.origin for proposal in controller.ask(3)].count("core") == 1


def test_a_study_grows_trained_networks(tmp_path: Path):
    plan = Plan(
        space="mobile",
        data="digits",
        evaluator_settings={"inherit": "parent", "epochs": 1, "device": "cpu"},
        objectives=("accuracy:max", "params:min"),
    )
    url = f"sqlite:///{tmp_path}/s.db"
    order = Order(plan, "s", url, "greedy-growing", {"start": 1, "tried": 2}, Budget(evaluations=5))
    study, _ = search(order)
    rows = study.rows()
    assert [row.status for row in rows] == ["ok"] * 5
    assert sum(bool(row.parents) for row in rows) == 4
    inherited = [any("parent=" in m.provenance.protocol for m in study.candidate(row.digest).metrics) for row in rows]
    assert not inherited[0] and all(inherited[1:])
    params = [{m.name: m.value for m in study.candidate(row.digest).metrics}["params"] for row in rows]
    assert min(params) == params[0] and len(set(params)) > 1

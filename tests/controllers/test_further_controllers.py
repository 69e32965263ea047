"""What is particular to NSGA-II, local search and exhaustive search."""

import math
from random import Random
from typing import Any

import pytest

from archfront.contracts import Evaluation, Metric, Objective, Proposal
from controllers import CONTROLLERS
from controllers.archive import Member
from controllers.generations import fronts
from controllers.nsga2 import crowding, merit
from search_spaces import Space, integers, one_of, part, repeat
from search_spaces.decisions import INACTIVE
from search_spaces.parts import Part
from search_spaces.table import TableSpace


@part("block", "test_layer", source="none: a part for tests")
class Layer(Part):
    """Something with two settings."""

    kind: Any
    size: Any


LAYER = Layer(one_of("a", "b", "c"), one_of(1, 2, 4))
CONDITIONAL = Space(repeat(integers(1, 12), LAYER), "conditional")  # far too large to be enumerated


def measured(proposal: Proposal) -> Evaluation:
    """Many large layers of kind `a` are good, and few are cheap."""
    layers = proposal.architecture
    good = sum(layer.size * (layer.kind == "a") for layer in layers)
    return Evaluation(proposal, metrics=(Metric("good", float(good)), Metric("cost", float(len(layers)))))


@pytest.mark.parametrize("name", ["local-search", "nsga2", "pareto-evolution"])
def test_conditional_decisions_are_searched_and_replayed(name):
    def made():
        return CONTROLLERS.get(name)(CONDITIONAL, [Objective("good", "max"), Objective("cost", "min")], (), 5)

    search, asked, told = made(), [], []
    for _ in range(15):
        batch = search.ask(2)
        asked += batch
        told += [measured(proposal) for proposal in reversed(batch)]
        search.tell(told[-2:])
    assert len({proposal.digest for proposal in asked}) == 30
    assert any(INACTIVE in CONDITIONAL.genes(proposal.architecture) for proposal in asked)
    second = made()
    second.restore(asked, told)
    assert second.ask(2) == search.ask(2)


@pytest.mark.parametrize("name", ["local-search", "nsga2"])
def test_each_finds_better_candidates_than_random_search(name):
    def best(controller: str, seed: int) -> float:
        settings = {"population": 8} if controller == "nsga2" else {}
        search = CONTROLLERS.get(controller)(CONDITIONAL, [Objective("good", "max")], (), seed, **settings)
        for _ in range(60):
            search.tell([measured(proposal) for proposal in search.ask(1)])
        return -search.archive.front[0].losses[0]

    assert sum(best(name, seed) for seed in range(3)) > sum(best("random", seed) for seed in range(3))


def test_fronts_are_those_of_domination():
    rng = Random(0)
    members = [Member(str(i), (rng.randrange(6), rng.randrange(6)), float(rng.random() < 0.3)) for i in range(60)]
    left = list(members)
    for front in fronts(members):
        best = [member for member in left if not any(other.beats(member) for other in left)]
        assert {member.digest for member in front} == {member.digest for member in best}
        left = [member for member in left if member not in best]
    assert not left


def test_crowding_is_the_distance_between_neighbours():
    found = crowding([(0.0, 4.0), (1.0, 2.0), (4.0, 0.0), (2.0, 1.0)])
    assert found[0] == found[2] == math.inf
    assert found[1] == pytest.approx(2 / 4 + 3 / 4) and found[3] == pytest.approx(3 / 4 + 2 / 4)
    order = [member.digest for member, _ in merit([Member(c, (1.0, 1.0), e) for c, e in (("a", 1.0), ("b", 0.0))])]
    assert order == ["b", "a"]


def test_local_search_climbs_and_starts_anew_at_the_top():
    space = TableSpace("grid", ["a", "b"], [(a, b) for a in range(8) for b in range(8)])
    search = CONTROLLERS.get("local-search")(space, [Objective("x", "max")], (), 0)
    origins, best = [], []
    for _ in range(40):
        [proposal] = search.ask(1)
        a, b = proposal.architecture.values
        search.tell([Evaluation(proposal, metrics=(Metric("x", float(-abs(a - 4) - abs(b - 4))),))])
        origins.append(proposal.origin)
        best.append(-search.archive.front[0].losses[0])
    top = best.index(0.0)
    assert origins[0] == "random" and "random" not in origins[1 : top + 1]
    assert "random" in origins[top:]


def test_exhaustive_search_shuffles_the_enumeration():
    space = TableSpace("line", ["a"], [(a,) for a in range(3000)])
    first = CONTROLLERS.get("exhaustive")(space, [Objective("x", "max")], (), 0)
    asked = [proposal.architecture.values[0] for proposal in first.ask(2000)]
    assert len(set(asked)) == 2000 and asked[:1024] != sorted(asked[:1024])
    assert set(asked[:1024]) == set(range(1024))

"""Generative search: the generator learns what goes together, the inquisitor what is good and what is allowed."""

from random import Random

import numpy as np
import pytest

from archfront.contracts import Constraint, Evaluation, Metric, Objective, Proposal, Status, WrongUse
from controllers.base import create
from controllers.dependency_tree import DependencyTree
from controllers.generative import Bound, Generative, Inquisitor
from controllers.linear_belief import NOISES, LinearBelief
from controllers.testing import BOUND, LAYERS, OBJECTIVES, WIDE, measured
from search_spaces.decisions import INACTIVE
from search_spaces.holes import one_of
from search_spaces.space import Space

FOUR = Space((one_of("a", "b", "c"), one_of("d", "e", "f"), one_of("g", "h"), one_of("i", "j")), "four")


def test_the_generator_learns_what_goes_together() -> None:
    draws = np.random.default_rng(0)
    free, other = draws.integers(0, 3, 200), draws.integers(0, 2, 200)
    examples = np.stack([free, 2 - free, other, np.ones(200, dtype=int)], axis=1)
    tree = DependencyTree(FOUR.decisions, examples, np.ones(200))
    assert tree.parents[:3] == [None, 0, None], "only what tells more than chance would"
    drawn = tree.draw(4000, np.random.default_rng(1))
    assert (drawn[:, 1] == 2 - drawn[:, 0]).mean() > 0.95
    assert abs((drawn[:, 2] == 1).mean() - (other == 1).mean()) < 0.05 and (drawn[:, 3] == 1).mean() > 0.98
    even = tree.draw(4000, np.random.default_rng(1), uniform=1.0)
    assert abs((even[:, 1] == 2 - even[:, 0]).mean() - 1 / 3) < 0.05


def test_weights_count_examples() -> None:
    examples = np.array([[0, 0, 0, 0], [1, 1, 1, 1]])
    drawn = DependencyTree(FOUR.decisions, examples, np.array([90.0, 10.0])).draw(4000, np.random.default_rng(0))
    assert abs((drawn[:, 0] == 0).mean() - (90 + 1 / 3) / 101) < 0.03


def test_draws_are_architectures_of_a_tree() -> None:
    examples = np.array([LAYERS.genes(LAYERS.sample(seed)) for seed in range(30)])
    drawn = DependencyTree(LAYERS.decisions, examples, np.ones(30)).draw(200, np.random.default_rng(0))
    lengths = set()
    for genes in drawn.tolist():
        architecture = LAYERS.architecture(tuple(genes))
        assert LAYERS.genes(architecture) == tuple(genes), "what isn't in force is void, all else is not"
        lengths.add(len(architecture))
    assert len(lengths) > 4 and (drawn == INACTIVE).any()


def test_the_belief_is_that_of_ridge_regression() -> None:
    draws = np.random.default_rng(0)
    told, asked = draws.normal(size=(30, 4)), draws.normal(size=(6, 4))
    truth = np.array([1.0, -2.0, 0.0, 0.5])
    belief = LinearBelief(told, told @ truth + 3 + 0.01 * draws.normal(size=30))
    mean, variance = belief.predict(asked)
    # The same in the weights' own space: (X'X + noise)^-1 X'y, whose precision is that of the posterior.
    centre, unit = told.mean(axis=0), np.sqrt(((told - told.mean(axis=0)) ** 2).sum(axis=1).mean())
    x, new = (told - centre) / unit, (asked - centre) / unit
    y = told @ truth + 3
    inverse = np.linalg.inv(x.T @ x + NOISES[0] * np.eye(4))
    assert mean == pytest.approx(y.mean() + new @ inverse @ x.T @ (y - y.mean()), abs=0.05)
    spread = (new @ inverse * new).sum(axis=1) * NOISES[0] + NOISES[0]
    assert variance / variance[0] == pytest.approx(spread / spread[0], rel=1e-6)
    sampled = np.array([belief.drawn(draws) for _ in range(3000)])
    assert (sampled @ (asked - centre).T).mean(axis=0) + y.mean() == pytest.approx(mean, abs=0.05)
    errors = (sampled @ (asked - centre).T).var(axis=0)
    assert errors / errors[0] == pytest.approx((spread - NOISES[0]) / (spread[0] - NOISES[0]), rel=0.2)


def test_what_is_likely_to_break_a_constraint_comes_last() -> None:
    vectors = np.eye(3)[np.arange(60) % 3]
    heat = np.array([1.0, 9.0, 2.0])[np.arange(60) % 3] + 0.01 * np.arange(60) / 60
    bound = Bound(Constraint("heat", 5.0), vectors, heat)
    assert (bound.kept(np.eye(3)) > 0.5).tolist() == [True, False, True]
    assert (Bound(Constraint("heat", 5.0, upper=False), vectors, heat).kept(np.eye(3)) > 0.5).tolist() == [
        *(False, True, False)
    ]
    score = Inquisitor(np.array([0.0, 5.0, 1.0]), (bound,))(np.eye(3))
    assert np.argsort(-score).tolist() == [2, 0, 1], "the best of all breaks the bound"


def searched(steps: int, seed: int, **settings: int) -> list[Evaluation]:
    """A search of the wide space for accuracy under a bound."""
    search = create("generative", WIDE, OBJECTIVES[:1], [BOUND], seed, settings)
    found = []
    for _ in range(steps):
        found += [measured(proposal) for proposal in search.ask(1)]
        search.tell(found[-1:])
    return found


def test_generates_better_networks_than_chance_within_the_bound() -> None:
    kept = {}
    for name, settings in {"both": {}, "alone": {"rounds": 0}, "random": {"start": 60}}.items():
        found = [one.values for seed in range(4) for one in searched(60, seed, **settings)[30:]]
        kept[name] = [v["accuracy"] for v in found if v.get("heat", 9) <= 5 and "accuracy" in v]
    assert len(kept["both"]) > 1.5 * len(kept["random"])
    assert np.mean(kept["both"]) > np.mean(kept["alone"]) > np.mean(kept["random"])


def test_a_bound_that_nothing_keeps_is_approached() -> None:
    search = Generative(WIDE, [Objective("accuracy", "max")], [Constraint("heat", -1.0)], 0)
    heats = []
    for _ in range(60):
        [proposal] = search.ask(1)
        heat = 1.0 + sum(proposal.architecture)
        metrics = (Metric("accuracy", float(sum(proposal.architecture))), Metric("heat", heat))
        search.tell([Evaluation(proposal, Status.INFEASIBLE, "too hot", metrics)])
        heats.append(heat)
    assert np.mean(heats[40:]) < np.mean(heats[:20]) - 3


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({"elites": 1}, "generative needs start >= 1"),
        ({"rounds": -1}, "generative needs start >= 1"),
        ({"target": 3.0}, "needs two objectives"),
        ({"reward": "sofft"}, "there is no reward"),
    ],
)
def test_wrong_settings(settings: dict[str, float], cause: str) -> None:
    with pytest.raises(WrongUse, match=cause):
        create("generative", WIDE, OBJECTIVES[:1], (), 0, settings)


def test_a_space_without_decisions_has_one_network() -> None:
    search = Generative(Space(("x",), "one"), OBJECTIVES[:1], (), 0)
    [only] = search.ask(3)
    assert isinstance(only, Proposal) and search.ask(1) == [] and only.architecture == search.space.sample(Random(0))

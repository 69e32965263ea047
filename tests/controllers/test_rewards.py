"""The rewards against the formulas of the papers, and what they owe whatever the unit."""

from random import Random

import numpy as np
import pytest

from archfront.contracts import Objective, WrongUse
from controllers.rewards import Reward, absolute, chebyshev, ranked, scaled, soft

ACCURACY, LATENCY = Objective("accuracy", "max"), Objective("latency_ms", "min")
EVEN = np.array([0.5, 0.5])


def rewards(reward: Reward, losses, excess=None, preference=EVEN):
    rows = np.array(losses, dtype=float)
    known = rows[np.isfinite(rows).all(axis=1)]
    return reward(rows, np.zeros(len(rows)) if excess is None else np.array(excess), preference, known)


def test_the_soft_reward_trades_twice_the_latency_for_5_percent_of_the_accuracy():
    assert soft(np.array(0.75), np.array(1.0)) == 0.75
    assert soft(np.array(0.75 * 1.05), np.array(2.0)) == pytest.approx(0.75, rel=2e-3)
    assert soft(np.array(0.8), np.array(0.25), -0.15) == pytest.approx(0.8 * 4**0.15)


def test_the_absolute_reward_is_largest_at_the_target():
    ratios = np.array([0.5, 1.0, 1.5, 3.0])
    assert absolute(np.full(4, 0.7), ratios, -0.07).tolist() == pytest.approx([0.665, 0.7, 0.665, 0.56])


def test_the_chebyshev_reward_is_paregos():
    losses = np.array([[0.2, 0.8], [1.0, 0.0]])
    found = chebyshev(losses, np.array([0.25, 0.75]))
    assert found.tolist() == pytest.approx([-(0.6 + 0.05 * 0.65), -(0.25 + 0.05 * 0.25)])


def test_ranks_share_ties_and_ignore_the_unit():
    assert ranked(np.array([5.0, -np.inf, 7.0])).tolist() == [0, -1, 1]
    assert ranked(np.array([3.0, 3.0, 9.0, 9.0, 9.0])).tolist() == [-0.75, -0.75, 0.5, 0.5, 0.5]
    assert ranked(np.array([2.0])).tolist() == [0]
    draws = np.random.default_rng(0).normal(size=50)
    assert (ranked(draws) == ranked(1e-6 * draws - 1e3)).all()


def test_losses_are_scaled_by_the_front():
    front = np.array([[0.0, 30.0], [2.0, 10.0]])
    assert scaled(np.array([[1.0, 50.0]]), front).tolist() == [[0.5, 2.0]]
    one = scaled(np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[1.0, 5.0]]))
    assert one.tolist() == [[0, 0], [1, 0]], "no division by a range of zero"


def test_settings_choose_the_reward():
    one = Reward((ACCURACY,))
    assert one.preferences == 1
    assert rewards(one, [[-0.9], [-0.8]], preference=np.ones(1)).tolist() == [0.9, 0.8]
    assert Reward((ACCURACY, LATENCY)).form == "chebyshev" and Reward((ACCURACY, LATENCY)).preferences == 2
    assert Reward((ACCURACY, LATENCY), target=5.0).form == "absolute"
    reward = Reward((ACCURACY, LATENCY), "soft", 5.0)
    assert rewards(reward, [[-0.9, 10.0], [-0.8, 5.0]]) == pytest.approx([0.9 * 2**-0.07, 0.8])
    strict = Reward((ACCURACY, LATENCY), "absolute", 5.0, -0.2)
    assert rewards(strict, [[-0.9, 10.0], [-0.8, 5.0]]) == pytest.approx([0.7, 0.8])


def test_without_a_target_the_median_cost_is_it():
    reward = Reward((ACCURACY, LATENCY), "soft", weight=-1.0)
    assert rewards(reward, [[-0.6, 1.0], [-0.6, 2.0], [-0.6, 4.0]]) == pytest.approx([1.2, 0.6, 0.3])
    throughput = Reward((ACCURACY, Objective("throughput", "max")), "soft", 100.0, -1.0)
    assert rewards(throughput, [[-0.6, -200.0], [-0.6, -50.0]]) == pytest.approx([1.2, 0.3])


@pytest.mark.parametrize("form", ["soft", "absolute", "chebyshev"])
def test_the_order_of_rewards_ignores_units(form):
    rng = np.random.default_rng(1)
    losses = np.stack([-rng.uniform(0.5, 1, 40), rng.uniform(1, 9, 40)], axis=1)
    reward = Reward((ACCURACY, LATENCY), form)
    plain, other = rewards(reward, losses), rewards(reward, losses * [100, 1e-3])
    assert ranked(other) == pytest.approx(ranked(plain))


def test_excess_costs_and_failures_are_worth_less_than_all_else():
    reward = Reward((ACCURACY,), penalty=10.0)
    losses = [[-0.9], [-0.8], [-0.7], [np.nan], [-0.9]]
    found = ranked(rewards(reward, losses, [0.0, 0.0, 0.0, 0.0, 2.0], np.ones(1)))
    assert found.tolist() == [1, 0.5, 0, -1, -0.5]
    nothing = rewards(reward, [[np.nan], [np.nan]], preference=np.ones(1))
    assert (nothing == -np.inf).all()


def test_preferences_are_even_on_the_simplex():
    rng = Random(0)
    reward = Reward((ACCURACY, LATENCY, Objective("params", "min")))
    drawn = np.array([reward.preference(rng) for _ in range(4000)])
    assert np.allclose(drawn.sum(axis=1), 1) and (drawn > 0).all()
    assert np.allclose(drawn.mean(axis=0), 1 / 3, atol=0.02) and np.allclose(drawn.var(axis=0), 1 / 18, atol=0.005)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (((ACCURACY, LATENCY), "hard"), "no reward 'hard'"),
        (((ACCURACY,), "soft"), "two objectives"),
        (((ACCURACY,), "", 3.0), "two objectives"),
        (((ACCURACY, LATENCY), "chebyshev", 3.0), "no target"),
        (((LATENCY, ACCURACY), "soft"), "maximised"),
        (((ACCURACY, LATENCY), "", -1.0), "target >= 0"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, text):
    with pytest.raises(WrongUse, match=text):
        Reward(*arguments)

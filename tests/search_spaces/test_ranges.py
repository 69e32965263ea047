"""Ranges of numbers as holes: the grid, its order, what is refused, and mutation along long scales."""

import json
from collections import Counter
from itertools import pairwise
from math import log
from random import Random
from typing import Any

import pytest

from evaluators.recipes.partial import PartialRecipe
from search_spaces import Space, SpaceError, from_json, integers, log_uniform, one_of, to_json, uniform
from search_spaces.testing import SpaceConformance


def space(**fields: Any) -> Space:
    return Space(PartialRecipe(**fields))


class TestARecipeOfRanges(SpaceConformance):
    space = space(
        lr=log_uniform(1e-4, 1e-2),
        label_smoothing=uniform(0, 0.2, steps=5),
        optimizer=one_of("adamw", "sgd"),
        clip=one_of(0.0, 1.0),
        batch_size=integers(32, 96, 32),
    )
    samples = 2000


def test_a_range_has_exact_ends_and_short_numbers_between() -> None:
    [decision] = space(lr=log_uniform(1.23456789e-4, 9.87654321e-3)).decisions
    assert decision.ordered and len(decision.options) == 33
    assert (decision.options[0], decision.options[-1]) == (1.23456789e-4, 9.87654321e-3)
    assert all(float(f"{value:.4g}") == value for value in decision.options[1:-1])
    assert list(decision.options) == sorted(decision.options)
    [decision] = space(warmup=uniform(0, 0.3, steps=4)).decisions
    assert decision.options == (0.0, 0.1, 0.2, 0.3)
    assert all(type(value) is float for value in decision.options)


def test_a_logarithmic_range_grows_by_the_same_factor() -> None:
    [decision] = space(lr=log_uniform(1e-5, 1, steps=51)).decisions
    factors = [log(after / before) for before, after in pairwise(decision.options)]
    assert max(factors) - min(factors) < 1e-3


def test_values_survive_json() -> None:
    recipes = space(lr=log_uniform(1e-4, 1e-2, steps=3), warmup=uniform(0, 1, steps=2))
    for recipe in recipes.enumerate():
        assert from_json(json.loads(json.dumps(to_json(recipe)))) == recipe
    assert recipes.size() == 6


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: uniform(1, 1), "uniform(1, 1) is empty; give low < high"),
        (lambda: log_uniform(2, 1), "log_uniform(2, 1) is empty; give low < high"),
        (lambda: log_uniform(0, 1), "must begin above 0; raise its low end, or take uniform()"),
        (lambda: uniform(0, float("inf")), "takes two finite numbers, not inf"),
        (lambda: uniform(0, float("nan")), "takes two finite numbers, not nan"),
        (lambda: uniform("0", 1), "takes two finite numbers, not '0'"),
        (lambda: uniform(0, True), "takes two finite numbers, not True"),
        (lambda: uniform(0, 1, steps=1), "takes steps, an integer from 2 to 200, not 1"),
        (lambda: uniform(0, 1, steps=2.0), "takes steps, an integer from 2 to 200, not 2.0"),
        (lambda: uniform(1, 1.001), "too narrow for 33 numbers of 4 digits; give fewer steps"),
    ],
)
def test_wrong_ranges_are_refused_in_one_line(make: Any, says: str) -> None:
    with pytest.raises(SpaceError) as error:
        make()
    assert says in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("gene", [0, 1, 16, 32])
def test_half_of_the_mutations_of_a_long_scale_stay_near(gene: int) -> None:
    recipes, rng = space(lr=log_uniform(1e-4, 1e-2)), Random(0)
    middle = recipes.architecture((gene,))
    found = Counter(recipes.genes(recipes.mutate(middle, rng))[0] for _ in range(20_000))
    near = {option for option in range(33) if 0 < abs(option - gene) <= 3}
    assert found.keys() == set(range(33)) - {gene}
    share = 0.5 + 0.5 * len(near) / 32
    assert sum(found[option] for option in near) / 20_000 == pytest.approx(share, abs=0.02)
    assert max(found[o] for o in near) < 1.3 * min(found[o] for o in near)


def test_short_scales_and_kinds_mutate_to_any_other_option_alike() -> None:
    recipes, rng = space(batch_size=integers(1, 8)), Random(0)
    found = Counter(recipes.mutate(recipes.architecture((0,)), rng).batch_size for _ in range(14_000))
    assert sorted(found) == list(range(2, 9)) and min(found.values()) > 1800

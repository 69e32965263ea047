"""The recipe for a data set and some epochs: what suits the data is chosen, accepted, and trains."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from evaluators import suited_recipe
from evaluators.datasets import DataSet, Split
from evaluators.mirroring import may_mirror
from evaluators.recipe import check_recipe
from evaluators.recipes.training import Recipe
from evaluators.suited_recipe import budget_recipe
from tests.evaluators.recipes.given import GREY, MASKS, NUMBERS, PICTURES, SEVERAL, SPECTROGRAMS, TABLE, TOKENS, data

KINDS = [GREY, MASKS, NUMBERS, PICTURES, SEVERAL, SPECTROGRAMS, TABLE, TOKENS]


def sided(turned: bool) -> DataSet:
    """Pictures of two classes, bright above or below; `turned`, on the left or on the right."""
    draw = torch.Generator().manual_seed(0)
    targets = torch.arange(200) % 2
    pictures = torch.randint(0, 120, (200, 3, 8, 8), generator=draw, dtype=torch.uint8)
    pictures[targets == 0, :, :4] += 100
    pictures[targets == 1, :, 4:] += 100
    split = Split(pictures.transpose(2, 3).contiguous() if turned else pictures, targets)
    return replace(data(), train=split, validation=split, augmentation="flip")


@pytest.mark.parametrize("turned", [False, True])
def test_pictures_are_mirrored_where_that_leaves_their_class(turned: bool) -> None:
    found = sided(turned)
    assert may_mirror(found) is not turned
    assert budget_recipe(found, 20).augmentation == ("shift" if turned else "auto")
    assert budget_recipe(found, 20, augmentation="flip").augmentation == "flip"


def test_mirroring_that_the_data_refuses_is_never_tried() -> None:
    assert not may_mirror(replace(sided(False), augmentation="shift"))


@pytest.mark.parametrize("epochs", [1, 5, 40, 400])
@pytest.mark.parametrize("given", KINDS)
def test_every_kind_of_data_is_given_a_recipe_that_it_can_take(given: DataSet, epochs: int) -> None:
    found = budget_recipe(given, epochs)
    check_recipe(found, given)
    assert found.epochs == epochs


def test_what_is_said_goes_before_what_suits() -> None:
    found = budget_recipe(PICTURES, 4, lr=0.5, optimizer="lion", averaging="none", batch_size=7, label_smoothing=0.3)
    assert (found.lr, found.optimizer, found.batch_size, found.label_smoothing) == (0.5, "lion", 7, 0.3)
    assert found.one("averaging") is None


def test_short_trainings_are_less_held_back_and_have_smaller_batches() -> None:
    short, long = (budget_recipe(PICTURES, epochs) for epochs in (3, 400))
    assert short.label_smoothing < long.label_smoothing
    assert short.batch_size < long.batch_size
    assert short.one("averaging").decay < long.one("averaging").decay < 1


@pytest.mark.parametrize("able", [False, True])
def test_precision_is_that_of_the_processor(monkeypatch: pytest.MonkeyPatch, able: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able})
    assert suited_recipe.precision() == ("bfloat16" if able else "auto")
    assert budget_recipe(PICTURES, 4).precision == suited_recipe.precision()


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "warmup_stable_decay"])
@pytest.mark.parametrize("shortened", [lambda step: 1000 - step, lambda step: 1000 if step < 500 else 520])
def test_a_training_that_is_cut_short_has_come_down_in_the_end(schedule: str, shortened: Callable[[int], int]) -> None:
    recipe, rates, step = Recipe(schedule=schedule), [], 0
    while step < shortened(step):
        rates.append(recipe.lr_at(step, shortened(step)))
        step += 1
    peak = rates.index(max(rates))
    later: list[Any] = rates[peak:]
    assert later == sorted(later, reverse=True)
    assert rates[-1] < 0.06 * max(rates)

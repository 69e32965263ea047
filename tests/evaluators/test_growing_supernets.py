"""Supernets that meet networks which the covering of their space didn't show, while they are trained."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from evaluators.datasets import DataSet, load
from evaluators.recipes.training import Recipe
from evaluators.supernet_training import SupernetTraining, load_supernet
from search_spaces.spaces import get_space
from search_spaces.weight_sharing import METHODS, Supernet
from search_spaces.weight_sharing.methods import Lesson
from search_spaces.weight_sharing.survey import Survey

SINGLE = METHODS.get("single-path")


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return load("digits")


def halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the covering miss the larger half of the tensors of attention in the first stage."""
    look = Survey._note

    def note(self: Any, view: Any, architecture: Any) -> None:
        if "stages/0" not in view.key or "attention" not in view.key:
            look(self, view, architecture)

    monkeypatch.setattr(Survey, "_note", note)


def training(digits: DataSet, recipe: Recipe) -> SupernetTraining:
    space = get_space("hybrid", digits.inputs, digits.train.size)

    class Attending(SINGLE):  # type: ignore[misc, valid-type]
        """One network of attention in the first stage, from the second step on."""

        def lessons(self, supernet: Supernet, rng: Random, progress: float) -> Sequence[Lesson]:
            drawn = (space.sample(seed) for seed in range(1000))
            wanted = progress > 0
            chosen = (a for a in drawn if ("SelfAttention" in str(a.stages[0].blocks)) == wanted)
            return [Lesson(next(chosen), regularised=True)]

    about = {"space": "hybrid", "data": "digits", "data_settings": {}, "method_settings": {}}
    supernet = Supernet(space, digits.inputs, digits.outputs, seed=0)
    return SupernetTraining(supernet, digits, recipe, Attending(), 0, about, steps=6)


@pytest.mark.parametrize("averaging", [None, "ema"])
def test_what_was_missed_learns_is_saved_and_resumes(
    digits: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, averaging: str | None
) -> None:
    halved(monkeypatch)
    recipe = Recipe(epochs=1, batch_size=32, averaging=averaging)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole, part, resumed = (training(digits, recipe) for _ in range(3))
    before = set(whole.supernet.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole.run(tmp_path / "whole")
        part.run(tmp_path / "part", until=4)
        resumed.run(tmp_path / "part")
    new = set(whole.supernet.state_dict()) - before
    assert new and whole.supernet.grown
    known = {id(parameter) for group in whole.optimizer.param_groups for parameter in group["params"]}
    assert known == {id(parameter) for parameter in whole.supernet.parameters()}
    moved = [p for name, p in whole.supernet.named_parameters() if name in new and p in whole.optimizer.state]
    assert moved
    assert resumed.history == whole.history
    for name, tensor in whole.supernet.state_dict().items():
        assert torch.equal(tensor, resumed.supernet.state_dict()[name]), name
    loaded, _ = load_supernet(tmp_path / "whole")
    wanted = whole.supernet.state_dict() if whole.averaged is None else whole.averaged.tensors
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in loaded.state_dict().items())

"""Finalists are trained as the search trained, on its split, with other seeds; supernets that are too short say so."""

from pathlib import Path
from typing import Any

from archfront.study import open_study
from archfront.supernets.finalists import Final, settings_for
from archfront.supernets.settings import settled
from archfront.supernets.training import plan

SPACE = f"{Path(__file__).resolve().parents[1] / 'evaluators' / 'small_space.py'}:space"


def test_the_recipe_and_the_split_stay_and_the_seeds_are_others(archfront: Any) -> None:
    words = ["--space", SPACE, "--epochs", 1, "--objective", "accuracy", "--evaluations", 1, "--seed", 5]
    more = ["--set", "evaluator.lr=0.003", "--set", "evaluator.batch_size=128", "--set", "evaluator.seeds=2"]
    assert archfront("search", *words, *more, "--study", "first").code == 0
    final = settings_for(open_study("first"), Final(1, 3, None, False, 2), "last", "sqlite:///archfront.db")
    assert final.evaluator.settings == {"lr": 0.003, "batch_size": 128, "epochs": 1, "seeds": 3}
    assert final.data.settings["seed"] == 5 and final.workers == 2
    assert final.seed == 7  # the search trained with 5 and 6

    assert archfront("supernet", "finalists", "first", "--seeds", 1, "--epochs", 1).code == 0
    begun = open_study("first-finalists")
    again = settings_for(open_study("first"), Final(1, 1, None), "first-finalists", "sqlite:///archfront.db", begun)
    assert (again.seed, again.data.settings["seed"]) == (7, 5)
    [metric] = [metric for metric in begun.candidate("0").metrics if metric.name == "accuracy"]
    assert metric.provenance.protocol.endswith("seed=7")


def test_a_supernet_that_is_too_short_says_what_would_do(archfront: Any) -> None:
    short = archfront("supernet", "train", "--space", SPACE, "--steps", 2, "--to", "short")
    [line] = [line for line in short.out.splitlines() if line.startswith("warning:")]
    assert line.startswith("warning: 2 steps are too few") and "take 612 (--steps 612," in line
    assert "archfront supernet finalists short-search" in short.out
    assert plan(settled(Path("long"), {"space": SPACE, "steps": 320}), Path("long")).doubt == ""

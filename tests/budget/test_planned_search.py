"""Searches that plan their budget, on real data: what is screened, what is trained to the end, and when it ends."""

import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archfront.budget.finals import FINAL
from archfront.budget.planning import suited
from archfront.budget.spending import Choices
from archfront.contracts import WrongUse
from archfront.plan import Plan
from archfront.run import Order, plan_for, search
from archfront.search import Budget
from archfront.study import Study
from evaluators.datasets import load
from evaluators.recipe import default_recipe
from evaluators.suited_recipe import budget_recipe
from evaluators.training import TrainingEvaluator


def order(folder: Path, minutes: float = 0.5, settings: dict[str, Any] | None = None, **choices: Any) -> Order:
    plan = Plan(
        data="sklearn:wine",
        evaluator="training",
        evaluator_settings=settings or {},
        objectives=("accuracy", "params"),
    )
    return Order(plan, "s", f"sqlite:///{folder}/s.db", budget=Budget(minutes=minutes), choices=choices)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study, float]:
    folder = tmp_path_factory.mktemp("planned")
    # Locks of its own: what other programs time on this host isn't waited for.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", None)
        return searched(folder)


def searched(folder: Path) -> tuple[Path, Study, float]:
    begun = time.monotonic()
    study, _ = search(order(folder, finals=2, epochs=9))
    return folder, study, time.monotonic() - begun


def test_candidates_are_screened_and_the_best_of_them_trained_to_the_end(planned: tuple[Path, Study, float]) -> None:
    _, study, _ = planned
    rows = study.rows()
    plan = study.settings["spending"]
    assert {row.fidelity for row in rows if row.fidelity} <= set(plan["rungs"])
    finals = [row for row in rows if row.origin == FINAL]
    assert 1 <= len(finals) <= 2 and all(row.fidelity == 0 and row.status == "ok" for row in finals)
    assert {row.digest for row in finals} <= {row.digest for row in rows if row.fidelity}
    assert [row.number for row in finals] == [row.number for row in rows][-len(finals) :]
    assert {point.digest for point in study.front()} <= {row.digest for row in finals}
    assert any("finals: candidates" in detail for _, _, detail in study.events())


def test_finals_go_on_from_their_screening_and_are_longer(planned: tuple[Path, Study, float]) -> None:
    _, study, _ = planned
    for row in study.rows():
        if row.origin != FINAL:
            continue
        [accuracy] = [one for one in study.candidate(row.digest).metrics if one.name == "accuracy"]
        epochs = float(accuracy.provenance.protocol.split()[0].removeprefix("epochs="))
        screened = [one for one in study.rows() if one.digest == row.digest and one.fidelity]
        assert epochs > max(one.fidelity for one in screened)
        assert accuracy.value > min(one.values["accuracy"] for one in screened)


def test_a_planned_study_goes_on_with_what_it_began_with(planned: tuple[Path, Study, float]) -> None:
    folder, study, _ = planned
    before = len(study.rows())
    again = order(folder)
    settings = study.settings["evaluator_settings"]
    again = replace(
        again,
        plan=replace(again.plan, evaluator_settings=settings),
        controller=study.settings["controller"],
        controller_settings=study.settings["controller_settings"],
    )
    more, _ = search(again)
    rows = more.rows()
    assert len(rows) > before
    assert max(Counter((row.digest, row.fidelity) for row in rows).values()) == 1, "nothing is paid for twice"


def test_the_plan_alone_writes_nothing(tmp_path: Path) -> None:
    spending = plan_for(order(tmp_path, minutes=3))
    assert spending.seconds == 180 and spending.finals >= 1 and spending.rungs
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_search_without_finals_promotes_to_the_end_itself(tmp_path: Path) -> None:
    study, _ = search(order(tmp_path, finals=False, epochs=4, rungs=[1]))
    assert {row.fidelity for row in study.rows()} == {0, 1}
    assert FINAL not in {row.origin for row in study.rows()}


@pytest.mark.parametrize(
    ("choices", "settings", "said"),
    [
        ({"on": True}, {"epochs": 3}, "the number of epochs was chosen"),
        ({"final": 3}, {}, "did you mean 'finals'"),
        ({"finals": -1}, {}, "say how many"),
        ({"rungs": [3, 2]}, {}, "ascending epochs"),
        ({"portfolio": 3}, {}, "true or false"),
    ],
)
def test_wrong_choices_are_refused(tmp_path: Path, choices: Any, settings: Any, said: str) -> None:
    with pytest.raises(WrongUse, match=said):
        search(order(tmp_path, settings=settings, **choices))
    assert not list(tmp_path.iterdir())


def test_too_small_a_budget_says_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"say --minutes [\d.]+ or more"):
        search(order(tmp_path, minutes=0.01))


def test_a_chosen_length_of_training_is_kept_without_a_plan(tmp_path: Path) -> None:
    study, _ = search(order(tmp_path, minutes=0.05, settings={"epochs": 1}))
    assert "spending" not in study.settings and {row.fidelity for row in study.rows()} == {0}


def test_the_recipe_is_the_one_that_suits_the_data_below_what_was_said() -> None:
    data = load("digits")
    found = suited(data, Choices(), {"lr": 0.5})
    recipe = budget_recipe(data, 60)
    made = TrainingEvaluator(**found).recipe(data)
    assert made.lr == 0.5
    assert made.one("optimizer") == recipe.one("optimizer") != default_recipe(data).one("optimizer")
    assert suited(data, Choices(recipe=False), {"lr": 0.5}) == {"lr": 0.5}

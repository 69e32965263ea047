"""The plan for a budget of time."""

import pytest

from archfront.budget.spending import FINALS, SHARE, Choices, Spending, duration, planned
from archfront.budget.timing import Timed
from archfront.contracts import WrongUse

NETWORKS = [Timed("a", 2.0, 0.2), Timed("b", 4.0, 0.5), Timed("c", 9.0, 1.0)]


def spent(minutes: float, workers: int = 2, steps: int = 100, **choices: object) -> Spending:
    return planned(60 * minutes, workers, NETWORKS, steps, Choices(**choices))  # type: ignore[arg-type]


def test_the_plan_keeps_to_its_budget() -> None:
    for minutes in (2, 5, 10, 40, 200, 2000):
        plan = spent(minutes)
        work = plan.seconds * plan.workers
        first, *further = plan.rungs
        each = first * plan.epoch_s + (sum(further) - first) * plan.epoch_s / 3 * bool(further)
        assert plan.candidates * each + plan.finals_s * plan.workers <= work * 1.05, minutes
        assert SHARE[0] * 0.8 <= plan.finals_s / plan.seconds <= SHARE[1] + 0.1
        assert FINALS[0] <= plan.finals <= FINALS[1]


def test_more_time_screens_more_and_finishes_more() -> None:
    plans = [spent(minutes) for minutes in (2, 10, 40, 200)]
    assert [plan.candidates for plan in plans] == sorted({plan.candidates for plan in plans})
    assert [plan.finals for plan in plans] == sorted(plan.finals for plan in plans)
    assert plans[0].finals < plans[-1].finals
    assert plans[0].good_epochs == plans[-1].good_epochs == 25


def test_a_training_has_as_many_epochs_as_its_steps_need() -> None:
    assert spent(40, steps=20).good_epochs == 60 and spent(40, steps=1000).good_epochs == 15
    assert spent(40, epochs=9).good_epochs == 9
    assert spent(40, steps=1).good_epochs == 400, "of tiny data"


def test_what_is_over_of_the_budget_is_not_spent_again() -> None:
    late = planned(600, 2, NETWORKS, 100, Choices(), used=300)
    assert late.candidates < spent(10).candidates and late.finals_s < spent(10).finals_s
    with pytest.raises(WrongUse, match="two epochs"):
        planned(600, 2, NETWORKS, 100, Choices(), used=590)


def test_what_the_user_decides_stands() -> None:
    assert spent(40, finals=2).finals == 2
    none = spent(40, finals=False)
    assert (none.finals, none.finals_s, none.epochs) == (0, 0.0, none.good_epochs)
    assert spent(40, rungs=(2, 5)).rungs == (2, 5)
    assert len(spent(40, rungs=False).rungs) == 1


def test_a_budget_that_is_too_small_is_refused_with_one_that_would_do() -> None:
    with pytest.raises(WrongUse, match=r"doesn't hold two epochs .* say --minutes [\d.]+ or more") as raised:
        spent(0.15, workers=1)
    enough = float(str(raised.value).partition("--minutes ")[2].split()[0])
    assert spent(enough, workers=1).candidates >= 1
    with pytest.raises(WrongUse, match="none of the networks"):
        planned(600, 2, [], 100, Choices())


def test_the_plan_travels_as_json_and_is_said_in_a_few_lines() -> None:
    plan = spent(10)
    assert Spending.from_json(plan.to_json()) == plan
    said = plan.lines()
    assert len(said) <= 6 and "10:00 min on 2 workers" in said[0] and "4 s" in said[0]
    assert f"some {plan.candidates} networks" in said[1] and f"the {plan.finals} best" in said[2]
    assert all(len(line) < 120 for line in said)


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (125.4, "2:05 min"), (3725, "1:02 h"), (3599.7, "1:00 h")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_device_that_would_keep_all_waiting_measures_briefly() -> None:
    quick = [Timed("a", 0.01, 0.001)]
    alone = planned(600, 2, quick, 100, Choices())
    measured = planned(600, 2, quick, 100, Choices(), measures=True)
    assert (alone.effort, measured.effort) == ("search", "brief")
    assert measured.candidates < alone.candidates and measured.candidates * 3 <= 600
    assert planned(6000, 2, NETWORKS, 100, Choices(), measures=True).effort == "search"

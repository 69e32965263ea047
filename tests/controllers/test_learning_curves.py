"""Learning curves: what is expected of more epochs."""

import pytest

from archfront.contracts import Objective
from controllers.learning_curves import LEAST, USUAL, expected

ACCURACY, LOSS = Objective("accuracy", "max"), Objective("mae", "min")


def power(epochs: int, exponent: float, scale: float = 0.8) -> float:
    return 1 - scale * epochs**-exponent


def test_curves_that_follow_a_power_are_continued() -> None:
    curves = {str(i): [(n, power(n, 0.5, 0.5 + i / 100)) for n in (2, 6, 18)] for i in range(40)}
    found = expected(curves, ACCURACY, 54)
    for i in range(40):
        one = found[str(i)]
        assert one.value == pytest.approx(power(54, 0.5, 0.5 + i / 100), abs=0.01)
        assert one.low <= power(54, 0.5, 0.5 + i / 100) <= one.high


def test_one_figure_is_continued_as_the_others_went() -> None:
    fast = {str(i): [(n, power(n, 0.6)) for n in (2, 6)] for i in range(30)}
    slow = {str(i): [(n, power(n, 0.1)) for n in (2, 6)] for i in range(30)}
    new = {"new": [(2, 0.5)]}
    assert expected(fast | new, ACCURACY, 18)["new"].value > expected(slow | new, ACCURACY, 18)["new"].value + 0.1


def test_without_any_curve_the_usual_exponent_holds_and_the_interval_is_wide() -> None:
    found = expected({"a": [(2, 0.5)]}, ACCURACY, 8)["a"]
    assert found.value == pytest.approx(1 - 0.5 * 4**-USUAL)
    assert found.low <= 0.52 and found.high > found.value > found.low


def test_costs_fall_and_what_has_no_power_stays() -> None:
    assert expected({"a": [(2, 40.0)]}, LOSS, 8)["a"].value == pytest.approx(40 * 4**-USUAL)
    assert expected({"a": [(2, -3.0)]}, LOSS, 8)["a"].value == -3.0
    assert expected({"a": [(9, 0.5)]}, ACCURACY, 8)["a"].value == 0.5, "it is there already"
    assert expected({"a": [(2, 1.0)]}, ACCURACY, 8)["a"].value == pytest.approx(1 - LEAST * 4**-USUAL)
    assert expected({"a": []}, ACCURACY, 8) == {}

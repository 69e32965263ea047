"""Who comes into the finals, on which worker and until when, by examples worked out by hand."""

import time
from dataclasses import replace

import pytest

from archfront.budget.finals import FINAL, Finals, Record, Screened, chosen
from archfront.budget.spending import Choices, Spending, planned
from archfront.budget.timing import Timed
from archfront.contracts import Evaluation, Metric, Objective, Proposal, Status

GOALS = (Objective("accuracy", "max"), Objective("latency_ms", "min"))


def screened(name: str, accuracy: float, latency: float, epochs: int = 4, status: Status = Status.OK) -> Evaluation:
    metrics = (Metric("latency_ms", latency), Metric("accuracy", accuracy))
    return Evaluation(Proposal(name, name, epochs), status, metrics=metrics)


def record(*evaluations: Evaluation, epoch_s: float = 1.0) -> Record:
    found = Record(GOALS)
    for one in evaluations:
        found.add(one, epoch_s * (one.proposal.fidelity or 0))
    return found


def names(members: list[Screened]) -> list[str]:
    return [one.evaluation.proposal.digest for one in members]


FIVE = (
    screened("large", 0.9, 8.0),
    screened("middle", 0.8, 2.0),
    screened("beaten", 0.7, 2.5),
    screened("small", 0.5, 0.5),
    screened("alike", 0.78, 1.95),
)


def test_the_members_are_those_of_the_front_that_together_dominate_most() -> None:
    assert names(chosen(record(*FIVE), 3, 1e6, 1, 10)) == ["large", "middle", "small"]
    assert set(names(chosen(record(*FIVE), 9, 1e6, 1, 10))) == {"large", "middle", "small", "alike"}


def test_fewer_come_in_where_time_is_short() -> None:
    known = record(*FIVE)
    # Each member of three has 4 + 20 / 3 epochs in 20 s; good ones have 18, so two are left, with 14 each.
    assert names(chosen(known, 3, 20.0, 1, 18)) == ["large", "middle"]
    assert names(chosen(known, 3, 20.0, 2, 18)) == ["large", "middle", "small"], "two workers have more time"
    assert names(chosen(known, 3, 0.1, 1, 18)) == ["large"], "one at least"


def test_a_curve_that_rises_faster_counts_by_where_it_leads() -> None:
    known = record(screened("early", 0.70, 1.0, 2), screened("late", 0.72, 1.0, 8))
    assert names(chosen(known, 1, 1e6, 1, 16)) == ["early"]


def test_what_failed_and_what_was_trained_to_the_end_is_not_screened() -> None:
    failed = screened("diverged", 0.99, 0.1, status=Status.DIVERGED)
    full = Evaluation(Proposal("full", "full"), metrics=(Metric("accuracy", 1.0), Metric("latency_ms", 0.1)))
    assert names(chosen(record(failed, full, FIVE[0]), 3, 1e6, 1, 10)) == ["large"]


def test_where_none_was_screened_in_time_those_that_came_too_late_are_trained() -> None:
    late = [Evaluation(Proposal(name, name, 4), Status.TIMED_OUT, "no time") for name in "abc"]
    found = chosen(record(*late), 3, 100.0, 2, 10)
    assert names(found) == ["a", "b"]
    assert names(chosen(record(*late, FIVE[3]), 3, 100.0, 2, 10)) == ["small"]


def member(name: str, epoch_s: float) -> Screened:
    return Screened(screened(name, 0.5, 1.0), ((4, 0.5),), epoch_s)


def test_each_worker_has_a_row_that_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    finals = Finals([member("a", 1), member("b", 6), member("c", 3), member("d", 2)], 2, 1060.0)
    # b alone on one worker; c, then d, then a on the other: a sixth of the cost of each per second.
    first, second = finals.next(), finals.next()
    assert first is not None and second is not None and finals.next() is None, "no more than there are workers"
    assert (first[0].digest, first[1]) == ("b", 1060.0)
    assert (second[0].digest, second[1]) == ("c", pytest.approx(1030.0))
    assert (first[0].fidelity, first[0].origin) == (None, FINAL)
    now[0] = 1024.0  # c ends early: what it leaves is for those after it.
    finals.done("c")
    third = finals.next()
    assert third is not None and (third[0].digest, third[1]) == ("d", pytest.approx(1024 + 36 * 2 / 3))
    finals.done("b")
    assert finals.next() is None, "the other worker's row isn't taken apart"
    finals.done("d")
    now[0] = 1050.0
    fourth = finals.next()
    assert fourth is not None and (fourth[0].digest, fourth[1]) == ("a", 1060.0) and finals.left == 0


def test_what_isnt_final_frees_nobody() -> None:
    finals = Finals([member("a", 1)], 1, time.monotonic() + 10)
    finals.done("stranger")
    assert finals.next() is not None and finals.next() is None


def test_the_front_of_what_was_screened() -> None:
    assert [point.digest for point in record(*FIVE).front()] == ["large", "middle", "alike", "small"]


def test_a_candidate_is_trained_to_the_end_once() -> None:
    known = record(*FIVE)
    known.add(Evaluation(Proposal("large", "large"), metrics=FIVE[0].metrics))
    assert "large" not in names(chosen(known, 3, 1e6, 1, 10))


def spending(**changes: float) -> Spending:
    networks = [Timed("a", 1.0, 0.1, 1e6)]
    return replace(planned(600, 2, networks, 100, Choices()), **changes)  # type: ignore[arg-type]


def sized(name: str, accuracy: float, latency: float, macs: float) -> Evaluation:
    found = screened(name, accuracy, latency)
    return replace(found, metrics=(*found.metrics, Metric("macs", macs)))


EIGHT = [sized(str(i), 0.60 + 0.02 * i, 1.0 + i, 1e6 * 2**i) for i in range(8)]


def before_training(latency: float, macs: float) -> Evaluation:
    metrics = (Metric("macs", macs), Metric("latency_ms", latency))
    return Evaluation(Proposal("new", "new", 4), metrics=metrics)


def test_what_the_budget_cannot_train_to_the_end_is_not_begun() -> None:
    known, plan = record(*EIGHT), spending(finals_s=100.0, good_epochs=20)
    assert "can't train it to the end" in known.unworthy(before_training(9.0, 1e10), plan)
    assert known.unworthy(before_training(0.1, 1e6), plan) == ""
    assert record(*EIGHT[:5]).unworthy(before_training(9.0, 1e10), plan) == "", "too little is known"


def test_what_is_slow_and_small_cannot_join_the_front_and_what_is_large_or_fast_may() -> None:
    known, plan = record(*EIGHT), spending(finals_s=1e9, good_epochs=4)
    # As small as the least accurate ones, as slow as the most accurate: number 7 is better in all.
    assert "is better in all that is known" in known.unworthy(before_training(20.0, 1e6), plan)
    assert known.unworthy(before_training(20.0, 1e6 * 2**9), plan) == "", "so large that it may be the best"
    assert known.unworthy(before_training(0.5, 1e6), plan) == "", "the fastest"

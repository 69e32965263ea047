"""A slice of a measurement: what it holds, when it ends, and that it leaves the process as it was."""

import os
import time

import pytest

from hardware_profiles import sampling


def spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_a_slice_has_a_reference_around_every_round() -> None:
    taken = sampling.take(lambda: spin(0.0005), lambda: spin(0.0001), 500_000, 0.1)
    assert len(taken.references) == len(taken.rounds) + 1
    assert len(taken.rounds) >= 3
    assert {len(runs) for runs in taken.rounds} == {4}, "a round holds as many runs as fit into 2 ms"
    assert min(abs(time_ns) for runs in taken.rounds for time_ns in runs) >= 400_000


def test_a_slice_ends_by_its_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    # A clock of the test's own, which only runs of the network and the reference move on.
    now = [0.0]
    monkeypatch.setattr(sampling.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(sampling.time, "perf_counter_ns", lambda: int(now[0] * 1e9))

    def run(seconds: float) -> None:
        now[0] += seconds

    for one, seconds in ((0.001, 0.3), (0.05, 0.6), (0.002, 0.1)):
        start = now[0]
        taken = sampling.take(lambda one=one: run(one), lambda: run(0.00002), one * 1e9, seconds)
        assert now[0] - start == pytest.approx(taken.seconds)
        assert 0.8 * seconds - one < taken.seconds <= seconds
    # What takes longer than there is time for is run once all the same.
    assert len(sampling.take(lambda: run(2.0), lambda: run(0.00002), 2e9, 0.3).rounds) == 1


def test_a_slice_leaves_the_process_scheduled_as_before() -> None:
    seen = []
    before = os.sched_getscheduler(0)
    sampling.take(lambda: seen.append(os.sched_getscheduler(0)), lambda: None, 1e6, 0.01)
    assert os.sched_getscheduler(0) == before
    assert set(seen) <= {os.SCHED_FIFO, before}
    with pytest.raises(ZeroDivisionError), sampling.scheduled_first():
        _ = 1 / 0
    assert os.sched_getscheduler(0) == before


def test_without_permission_a_slice_is_taken_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(*_: object) -> None:
        asked.append(1)
        raise PermissionError("not permitted")

    monkeypatch.setattr(sampling.os, "sched_setscheduler", refuse)
    assert sampling.take(lambda: spin(0.0005), lambda: spin(0.0001), 500_000, 0.05).rounds
    assert asked

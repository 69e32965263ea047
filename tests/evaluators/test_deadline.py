"""Trainings that end when their time is over."""

import time
from pathlib import Path

import pytest

from archfront.contracts import Context, Proposal, Status
from evaluators import deadline
from evaluators.base import attempt
from evaluators.datasets import DataSet, load
from evaluators.deadline import Deadline
from evaluators.training import TrainingEvaluator
from search_spaces.topologies.network.cell201 import Cell201

NETWORK = Cell201("nor_conv_3x3", "skip_connect", "nor_conv_1x1", "none", "avg_pool_3x3", "skip_connect", 1, 8)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(deadline.time, "monotonic", lambda: self.now)


def train(clock: Clock, limit: Deadline, paces: list[float]) -> int:
    """The steps of a training whose steps take as long as `paces` say, the last one for ever after."""
    step = 0
    while step < limit.total:
        clock.now += paces[min(step, len(paces) - 1)]
        limit.took(step)
        step += 1
    return step


def test_a_whole_training_takes_as_many_steps_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert train(clock, Deadline(clock.now + 60, total=1000, tested=0), [1.0]) == 60
    assert train(clock, Deadline(clock.now + 60, total=40), [1.0]) == 40, "no more than it was to have"
    assert train(clock, Deadline(None, total=40), [1.0]) == 40


def test_a_pace_that_changes_is_followed_and_the_end_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    begun = clock.now
    steps = train(clock, Deadline(begun + 100, total=1000), [1.0] * 40 + [3.0])
    assert steps < 70 and 90 <= clock.now - begun <= 103
    begun = clock.now
    train(clock, Deadline(begun + 100, total=1000), [5.0] * 4 + [1.0])
    assert 70 <= clock.now - begun <= 101, "a slow beginning doesn't shorten it for good"


def test_time_for_the_tests_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert train(clock, Deadline(clock.now + 60, total=1000, tested=50), [1.0]) == 40


def test_a_part_of_a_training_keeps_its_schedule_and_says_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    limit = Deadline(clock.now + 20, total=1000, whole=False)
    assert limit.fits(10**6), "nothing is known yet"
    for step in range(10):
        clock.now += 1.0
        limit.took(step)
    assert limit.total == 1000 and limit.fits(10) and not limit.fits(11)
    assert limit.hopeless(100) and not limit.hopeless(12)


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return load("digits")


def trained(folder: Path, data: DataSet, seconds: float | None, fidelity: int | None, **settings: object) -> object:
    until = None if seconds is None else time.monotonic() + seconds
    context = Context(folder, 0, 1, data.inputs, data.outputs, data, until=until)
    return attempt(TrainingEvaluator(**settings), Proposal(NETWORK, "one", fidelity), context)


def test_a_training_ends_on_time_with_a_rate_that_has_come_down(
    tmp_path: Path, digits: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaluators.candidate_training import Training

    rates: list[float] = []
    step = Training._step

    def noted(self: Training, *words: object) -> object:
        rates.append(self.optimizer.param_groups[0]["lr"])
        return step(self, *words)

    monkeypatch.setattr(Training, "_step", noted)
    found = trained(tmp_path, digits, 3.0, None, epochs=10_000)
    assert found.status is Status.OK, found.reason
    assert 0 < len(rates) < 10_000 and rates[-1] < 0.1 * max(rates)
    assert found.seconds < 10, "it would have taken hours"
    assert found.proposal.fidelity is None
    epochs = float(found.metrics[0].provenance.protocol.split()[0].removeprefix("epochs="))
    assert epochs < 10_000


def test_a_part_of_a_training_ends_after_a_whole_epoch(tmp_path: Path, digits: DataSet) -> None:
    found = trained(tmp_path, digits, 2.0, 9_000, epochs=10_000)
    assert found.status is Status.OK, found.reason
    assert 1 <= found.proposal.fidelity < 9_000
    assert {artifact.kind for artifact in found.artifacts} >= {"weights", "optimizer"}
    goes_on = Context(
        tmp_path, 0, 1, digits.inputs, digits.outputs, digits, checkpoint=tmp_path / found.artifacts[0].path
    )
    further = attempt(TrainingEvaluator(epochs=10_000), Proposal(NETWORK, "one", found.proposal.fidelity + 1), goes_on)
    assert further.status is Status.OK, further.reason


def test_without_time_for_one_epoch_nothing_is_kept(tmp_path: Path, digits: DataSet) -> None:
    found = trained(tmp_path, digits, 0.0, 3, epochs=9, batch_size=16)
    assert found.status is Status.TIMED_OUT and "epoch 1" in found.reason

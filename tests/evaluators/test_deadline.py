"""Trainings that end when their time is over."""

from math import inf
from pathlib import Path
from typing import Any

import pytest

from archfront.contracts import Context, Evaluation, Proposal, Status
from evaluators import deadline
from evaluators.base import attempt
from evaluators.candidate_training import Training
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


class Paced:
    """Real trainings by a clock of which each step takes a second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.rates = Clock(monkeypatch), []
        step = Training._step

        def paced(training: Training, *words: object) -> object:
            self.clock.now += 1.0
            self.rates.append(training.optimizer.param_groups[0]["lr"])
            return step(training, *words)

        monkeypatch.setattr(Training, "_step", paced)

    def trained(self, folder: Path, data: DataSet, seconds: float, fidelity: int | None, **more: Any) -> Evaluation:
        until = None if seconds == inf else self.clock.now + seconds
        checkpoint = more.pop("checkpoint", None)
        context = Context(folder, 0, 1, data.inputs, data.outputs, data, checkpoint=checkpoint, until=until)
        return attempt(TrainingEvaluator(epochs=100, **more), Proposal(NETWORK, "one", fidelity), context)


@pytest.fixture
def paced(monkeypatch: pytest.MonkeyPatch) -> Paced:
    return Paced(monkeypatch)


def test_a_training_ends_on_time_with_a_rate_that_has_come_down(tmp_path: Path, digits: DataSet, paced: Paced) -> None:
    found = paced.trained(tmp_path, digits, 60.0, None)
    assert found.status is Status.OK, found.reason
    assert 40 <= len(paced.rates) <= 60 and paced.rates[-1] < 0.1 * max(paced.rates)
    assert found.proposal.fidelity is None
    epochs = float(found.metrics[0].provenance.protocol.split()[0].removeprefix("epochs="))
    assert epochs == pytest.approx(len(paced.rates) / (digits.train.size // 64), abs=0.01)


def test_a_part_of_a_training_ends_after_a_whole_epoch_and_goes_on(
    tmp_path: Path, digits: DataSet, paced: Paced
) -> None:
    steps = digits.train.size // 64
    found = paced.trained(tmp_path, digits, 2.9 * steps, 90)
    assert found.status is Status.OK, found.reason
    assert found.proposal.fidelity == 2 and len(paced.rates) == 2 * steps
    assert {artifact.kind for artifact in found.artifacts} >= {"weights", "optimizer"}
    checkpoint = tmp_path / found.artifacts[0].path
    further = paced.trained(tmp_path, digits, inf, 3, checkpoint=checkpoint)
    assert further.status is Status.OK and len(paced.rates) == 3 * steps


def test_without_time_for_one_epoch_nothing_is_kept(tmp_path: Path, digits: DataSet, paced: Paced) -> None:
    found = paced.trained(tmp_path, digits, 9.0, 3)
    assert found.status is Status.TIMED_OUT and "epoch 1" in found.reason and len(paced.rates) < 9

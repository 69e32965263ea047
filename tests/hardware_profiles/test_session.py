"""Slices of a measurement: how long others wait for them, what they come to, and that others go on in between."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy
import pytest

from archfront.contracts import WrongUse
from hardware_profiles import estimating, measuring, quiet, session
from hardware_profiles.device_profile import Profile
from hardware_profiles.estimating import Slice
from hardware_profiles.measuring import measure_file, runtime_of
from hardware_profiles.reference import reference_file, remember_level
from hardware_profiles.session import Session, effort_of
from hardware_profiles.timer import Timer, TimingFailed, TimingTimedOut

HOST = Profile("host")
ROOT = Path(__file__).parents[2]
LEVEL = 40_000.0
LOADED = {"run_ns": 1e6, "shape": [1, 3, 8, 8], "precision": "float32", "memory": 1e6, "difference": None}


class Clock:
    """Time that only sleeping and the device's answers move on."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Device:
    """Stands in for a timer of a host as slow as `slowdown`: a slice takes as long as asked for, or one run."""

    def __init__(self, clock: Clock, slowdown: float, run_s: float = 0.001, hangs_at: int = 0) -> None:
        self.clock, self.slowdown, self.run_s, self.hangs_at = clock, slowdown, run_s, hangs_at
        self.profile, self.runtime, self.pid = HOST, runtime_of(HOST), None
        self.asked: list[float] = []
        self.rng = numpy.random.default_rng(0)

    def ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        if request["do"] != "slice":
            return {**LOADED, "run_ns": self.run_s * 1e9}
        self.asked.append(request["seconds"])
        takes = max(self.run_s, request["seconds"])
        if takes > timeout_s or len(self.asked) == self.hangs_at:
            self.clock.sleep(timeout_s)
            raise TimingTimedOut("no answer")
        self.clock.sleep(takes)
        count = max(1, int(takes / max(0.005, self.run_s)))
        rounds = self.slowdown * self.run_s * 1e9 * (1 + 0.05 * self.rng.random((count, 2)))
        references = [LEVEL * self.slowdown] * (count + 1)
        return {"rounds": rounds.tolist(), "references": references, "seconds": takes, "others": 0.0}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(session, "time", made)
    return made


def measured(device: Device, effort: str = "search") -> tuple[Session, estimating.Estimate, str]:
    remember_level(reference_file(device.runtime), HOST, LEVEL)
    made = Session(Path("network"), HOST, device, effort_of(effort, HOST), None, None)  # type: ignore[arg-type]
    found, stopped = made.run()
    return made, found, stopped


@pytest.mark.parametrize("slowdown", [1.0, 1.7])
@pytest.mark.parametrize("run_s", [0.0001, 0.02, 0.4, 2.0])
def test_others_wait_for_a_search_for_three_seconds_at_most(clock: Clock, slowdown: float, run_s: float) -> None:
    made, found, stopped = measured(Device(clock, slowdown, run_s))
    assert 0 < made.exclusive_s <= 3.0
    assert clock.now <= 15
    assert len(made.slices) >= (3 if run_s < 0.5 else 1)
    assert found.low < found.headline < found.high
    if slowdown > 1:
        assert (stopped, found.corrected) == ("never quiet", True)
        assert made.exclusive_s > 2 or run_s >= 0.4, "what time there is is used"
    elif run_s < 0.1:
        assert (stopped, found.corrected) == ("converged", False)
        assert made.exclusive_s < 2, "no more than it takes"


def test_the_finals_measure_for_longer(clock: Clock) -> None:
    short, long = measured(Device(clock, 1.0))[0], measured(Device(clock, 1.0), "final")[0]
    assert long.exclusive_s > 2 * short.exclusive_s
    never = measured(Device(clock, 1.7), "final")[0]
    assert 5 < never.exclusive_s <= 6, "it ends where the host is never quiet"
    brief = measured(Device(clock, 1.7), "brief")[0]
    assert brief.exclusive_s <= 1.2 < short.exclusive_s + 1
    with pytest.raises(WrongUse, match="no effort 'finals'; did you mean 'final'"):
        effort_of("finals", HOST)
    with pytest.raises(WrongUse, match="no effort"):
        measure_file(__file__, HOST, effort="hard")


def test_a_process_that_hangs_costs_no_more_than_the_rest_of_the_time(clock: Clock) -> None:
    made, found, _ = measured(Device(clock, 1.7, hangs_at=4))
    assert len(made.slices) == 3
    assert made.exclusive_s <= 3.0
    assert found.headline > 0
    for device in (Device(clock, 1.0, hangs_at=1), Device(clock, 1.0, run_s=5.0)):
        start = clock.now
        with pytest.raises(TimingTimedOut):
            measured(device)
        assert clock.now - start <= 3.0


def test_the_estimate_is_that_of_all_slices(clock: Clock) -> None:
    made, found, _ = measured(Device(clock, 1.0))
    again = estimating.estimate(made.slices, LEVEL)
    assert (found.headline, found.low, found.high) == (again.headline, again.low, again.high)
    rounds = numpy.concatenate([one.rounds for one in made.slices])
    assert found.headline == numpy.percentile(rounds, 10)
    assert isinstance(made.slices[0], Slice)


def test_pauses_leave_others_more_time_the_longer_it_takes(clock: Clock) -> None:
    asked: list[float] = []
    device = Device(clock, 1.7)
    answer = device.ask

    def noted(request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        begun = clock.now
        reply = answer(request, timeout_s)
        asked.extend((begun, clock.now))
        return reply

    device.ask = noted  # type: ignore[method-assign]
    made, _, _ = measured(device)
    pauses = numpy.diff(asked)[3::2]
    assert (pauses >= session.LEAST_PAUSE_S - 1e-9).all()
    assert pauses[-1] > pauses[0]
    assert 4 < pauses.sum() < 9
    assert clock.now == pytest.approx(made.exclusive_s + pauses.sum(), abs=2)


TRAINER = """
import sys, time
from hardware_profiles import quiet
with open(sys.argv[1], "w") as file:
    print("up", flush=True)
    while True:
        with quiet.training_step():
            start = time.monotonic()
            time.sleep(0.005)
            file.write(f"{start} {time.monotonic()}\\n")
            file.flush()
"""


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "network.onnx"
    path.write_bytes(reference_file(runtime_of(HOST)).read_bytes())
    return path


def test_trainers_go_on_between_slices_and_not_within(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[tuple[float, float]] = []
    original = Timer.ask

    def noted(self: Timer, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        begun = time.monotonic()
        reply = original(self, request, timeout_s)
        if request["do"] == "slice":
            held.append((begun, time.monotonic()))
        return reply

    monkeypatch.setattr(Timer, "ask", noted)
    # A level that the host never reaches, so that all the time is taken.
    monkeypatch.setattr(session, "level_of", lambda *_: 1.0)
    host = Profile("host", patience_s=1.2, pauses_s=(2.0,))
    command = [sys.executable, "-c", TRAINER, str(tmp_path / "steps")]
    trainer = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        assert trainer.stdout is not None and trainer.stdout.readline() == b"up\n"
        found = measure_file(network, host, effort="search")
    finally:
        trainer.kill()
        trainer.wait()
        trainer.stdout and trainer.stdout.close()
    steps = [tuple(map(float, line.split())) for line in (tmp_path / "steps").read_text().splitlines()[:-1]]
    assert found.slices == len(held) >= 3
    assert found.exclusive_s <= 3
    assert sum(end - begin for begin, end in held) <= found.exclusive_s + 0.01
    for (_, before), (after, _) in pairwise(held):
        assert any(before < begin < end < after for begin, end in steps), "no step between two slices"
    for begin, end in held:
        assert not any(a < end and begin < b for a, b in steps)


def test_a_death_between_slices_is_an_error_that_frees_the_host(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Timer(HOST) as timer:
        made = Session(network, HOST, timer, effort_of("search", HOST), None, None)
        assert made.take()
        assert timer.pid is not None
        os.killpg(timer.pid, signal.SIGKILL)
        with pytest.raises(TimingFailed, match="died of SIGKILL"):
            made.take()
        made.close()
        with quiet.training_step():
            pass
        again = Session(network, HOST, timer, effort_of("search", HOST), None, None)
        assert again.take(), "the next measurement starts a process of its own"
        again.close()
        with pytest.raises(TimingFailed, match="no network is loaded"):
            again.take()


def test_a_worked_out_figure_says_so(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    for slowdown, kind, protocol in ((1.0, "measured", estimating.PROTOCOL), (1.7, "predicted", estimating.CORRECTED)):
        made, found, stopped = measured(Device(clock, slowdown))
        whole = measuring._measurement(made, found, stopped, 1.0)
        latency, throughput, memory = whole.metrics()
        assert (latency.kind, throughput.kind, memory.kind) == (kind, kind, "measured")
        assert latency.provenance.protocol == protocol != "interleaved-1"
        assert latency.low is not None and latency.high is not None and latency.summary is not None
        assert latency.low < latency.value < latency.high
        if kind == "measured":
            assert latency.value == pytest.approx(latency.summary.p10), "a percentile of real runs"

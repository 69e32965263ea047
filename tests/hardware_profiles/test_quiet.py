"""Real processes at the locks: nothing overlaps a measurement, and the dead hold nothing."""

import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from hardware_profiles import quiet

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import sys, time
from hardware_profiles import quiet
kind, log, until, hold = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
enter = quiet.training_step if kind == "step" else quiet.measurement
with open(log, "w") as file:
    print("up", flush=True)
    while time.monotonic() < until:
        with enter():
            start = time.monotonic()
            time.sleep(hold)
            file.write(f"{start} {time.monotonic()}\\n")
        if kind == "measure":
            time.sleep(0.02)
"""
HOLDER = """
import sys, time
from hardware_profiles import quiet
with getattr(quiet, sys.argv[1])():
    print("held", flush=True)
    time.sleep(60)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stdout is not None
    assert process.stdout.readline().strip() in ("up", "held")
    return process


def spans(path: Path) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in (line.split() for line in path.read_text().splitlines())]


def test_no_step_overlaps_a_measurement_and_measurements_serialise(tmp_path: Path) -> None:
    until = time.monotonic() + 3
    kinds = ["step", "step", "step", "measure", "measure"]
    workers = [start(WORKER, k, tmp_path / f"{i}", until, 0.005 if k == "step" else 0.03) for i, k in enumerate(kinds)]
    for worker in workers:
        assert worker.wait(20) == 0
    steps = [span for i in range(3) for span in spans(tmp_path / f"{i}")]
    measurers = [spans(tmp_path / f"{i}") for i in (3, 4)]
    measurements = sorted(measurers[0] + measurers[1])
    # Nobody starves, although the trainers leave no gap of their own.
    assert len(steps) > 10
    assert [len(found) > 1 for found in measurers] == [True, True]
    for (_, end), (begin, _) in pairwise(measurements):
        assert end <= begin
    for begin, end in measurements:
        assert not any(a < end and begin < b for a, b in steps)
    # Without a measurement in the way, steps of different processes do run side by side.
    ordered = sorted(steps)
    assert any(b > c for (_, b), (c, _) in pairwise(ordered))


@pytest.mark.parametrize("kind", ["training_step", "measurement"])
def test_a_killed_holder_frees_the_lock(kind: str) -> None:
    holder = start(HOLDER, kind)
    entered = threading.Event()

    def measure() -> None:
        with quiet.measurement():
            entered.set()

    waiting = threading.Thread(target=measure)
    waiting.start()
    assert not entered.wait(0.3)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert entered.wait(60)  # tests beside this one may be measuring
    waiting.join()


def test_threads_of_one_process_exclude_each_other() -> None:
    entered = threading.Event()

    def train() -> None:
        with quiet.training_step():
            entered.set()

    with quiet.measurement():
        thread = threading.Thread(target=train)
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(60)  # tests beside this one may be measuring
    thread.join()


def test_a_forked_child_holds_none_of_its_parents_locks() -> None:
    # The parent is killed within a step; its child lives on and must not keep the room occupied.
    code = """
import os, sys, time
from hardware_profiles import quiet
with quiet.training_step():
    if os.fork() == 0:
        os.close(1)
        time.sleep(60)
        os._exit(0)
    print("held", flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "held\n"
    try:
        parent.kill()
        parent.wait()
        done = threading.Event()

        def measure() -> None:
            with quiet.measurement():
                done.set()

        thread = threading.Thread(target=measure, daemon=True)
        thread.start()
        assert done.wait(5)
    finally:
        os.killpg(parent.pid, signal.SIGKILL)


def test_nesting() -> None:
    with quiet.training_step(), quiet.training_step(), pytest.raises(RuntimeError, match="wait for itself"):
        quiet.measurement().__enter__()
    with quiet.measurement(), quiet.measurement(), pytest.raises(RuntimeError, match="wait for itself"):
        quiet.training_step().__enter__()
    with quiet.training_step():
        pass


def test_a_step_costs_microseconds() -> None:
    def steps(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            with quiet.training_step():
                pass
        return (time.perf_counter() - start) / count

    steps(10)
    assert min(steps(200) for _ in range(20)) < 50e-6

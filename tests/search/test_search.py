"""The loop: budgets, constraints, resuming after kill -9, Ctrl-C, and workers that die."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from archfront.contracts import WrongUse
from archfront.plan import Plan
from archfront.run import Order, search
from archfront.search import Budget, StudyUnwritable
from archfront.study import Study, StudyWriter, open_study

HERE = Path(__file__).parent
FILE = HERE / "counting.py"
RUN = """
import sys
from archfront.run import search
sys.path.insert(0, {here!r})
from test_search import order
print(search(order({folder!r}, {evaluations}, pause={pause}))[1].ended)
"""


def order(folder: str | Path, evaluations: int, pause: float = 0.0, die_at: str = "", **kwargs) -> Order:
    log = str(Path(folder) / "log.txt") if kwargs.pop("log", True) else ""
    plan = Plan(
        space=f"{FILE}:space",
        evaluator=f"{FILE}:Counting",
        evaluator_settings={"log": log, "pause": pause, "die_at": die_at},
        objectives=("accuracy:max", "latency:min"),
        constraints=kwargs.pop("constraints", ()),
        seed=kwargs.pop("seed", 5),
    )
    return Order(plan, "s", f"sqlite:///{folder}/s.db", budget=Budget(evaluations=evaluations), **kwargs)


def digests(study: Study) -> list[str]:
    return [row.digest for row in study.rows()]


def lines(folder: Path) -> list[str]:
    return [line.split()[0] for line in (folder / "log.txt").read_text().splitlines()]


def process(folder: Path, evaluations: int, pause: float) -> "subprocess.Popen[str]":
    code = RUN.format(here=str(HERE), folder=str(folder), evaluations=evaluations, pause=pause)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_a_search_ends_with_its_budget_and_goes_on_with_more(tmp_path):
    study, progress = search(order(tmp_path, 30))
    assert (progress.ended, progress.done, progress.running) == ("the budget of evaluations is used up", 30, 0)
    front = study.front()
    assert {p.digest for p in progress.front} == {p.digest for p in front}
    assert len(front) >= 3 and study.hypervolume() > 0
    _, more = search(order(tmp_path, 45))
    assert (more.done, more.done_here) == (45, 15)
    (tmp_path / "whole").mkdir()
    whole, _ = search(order(tmp_path / "whole", 45))
    assert digests(whole) == digests(study)
    _, none = search(order(tmp_path, 45))
    assert none.done_here == 0


def test_a_search_exhausts_a_space_and_says_so(tmp_path):
    study, progress = search(order(tmp_path, 5000))
    assert progress.ended == "the space is exhausted"
    assert len(set(digests(study))) == progress.done == 1296


def test_kill_9_at_any_moment_loses_nothing_and_changes_nothing(tmp_path):
    (tmp_path / "whole").mkdir()
    whole, _ = search(order(tmp_path / "whole", 60))
    rng = Random(1)
    told: set[tuple[str, int]] = set()
    kills = 0
    while kills < 40:
        run = process(tmp_path, 60, pause=0.02)
        time.sleep(rng.uniform(0.5, 1.6))
        if run.poll() is not None:
            break
        run.kill()
        run.wait()
        kills += 1
        if (tmp_path / "s.db").exists() and (tmp_path / "s.files").exists():
            rows = open_study("s", f"sqlite:///{tmp_path}/s.db").rows()
            now = {(row.digest, row.number) for row in rows if row.told_at}
            assert told <= now
            told = now
    assert kills >= 2
    study, _ = search(order(tmp_path, 60, pause=0.02))
    assert digests(study) == digests(whole)
    assert [row.values for row in study.rows()] == [row.values for row in whole.rows()]
    calls = Counter(lines(tmp_path))
    # Only what was under way when a process was killed may have been worked on again.
    assert set(calls) == set(digests(study))
    assert sum(calls.values()) - len(calls) <= kills


def test_ctrl_c_drains_and_the_study_goes_on(tmp_path):
    run = process(tmp_path, 400, pause=0.05)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (tmp_path / "log.txt").exists():
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    assert run.communicate(timeout=30)[0].strip() == "interrupted"
    study = open_study("s", f"sqlite:///{tmp_path}/s.db")
    assert study.counts()["running"] == 0 and not study.running()
    assert sorted(lines(tmp_path)) == sorted(digests(study))
    _, progress = search(order(tmp_path, len(digests(study)) + 3, pause=0.05))
    assert progress.done_here == 3


def test_a_second_search_of_one_study_is_refused(tmp_path):
    study, _ = search(order(tmp_path, 3))
    with StudyWriter(study), pytest.raises(WrongUse, match="is being searched by"):
        search(order(tmp_path, 6))


def test_constraints_make_candidates_infeasible(tmp_path):
    study, progress = search(order(tmp_path, 60, constraints=("params<=4",)))
    assert progress.counts["infeasible"] == study.counts()["infeasible"] > 0
    assert all(point.values["params"] <= 4 for point in study.front())
    assert any(reason.startswith("infeasible: params<=4") for reason in progress.reasons)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 6}, "started with --seed 5"),
        ({"constraints": ("params<=4",)}, "started with constraints"),
    ],
)
def test_a_study_goes_on_only_as_it_began(tmp_path, change, message):
    search(order(tmp_path, 3))
    with pytest.raises(WrongUse, match=message):
        search(order(tmp_path, 6, **change))


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"objectives": ("acuracy:max",)}, "no evaluator here yields the metric 'acuracy'; did you mean 'accuracy'"),
        ({"objectives": ("foo",)}, "say NAME:max or NAME:min"),
        ({"constraints": ("params<5",)}, "say METRIC<=NUMBER"),
        ({"space": "hybird"}, "did you mean 'hybrid'"),
        ({"space": "nowhere.py:space"}, "no file nowhere.py"),
        ({"evaluator": "trainning"}, "did you mean 'training'"),
        ({"objectives": ()}, "needs an objective"),
    ],
)
def test_wrong_plans_write_nothing(tmp_path, plan, message):
    from dataclasses import replace

    wrong = order(tmp_path, 5)
    with pytest.raises(ValueError, match=message) as error:
        search(replace(wrong, plan=replace(wrong.plan, **plan)))
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


ODD = """
from archfront.contracts import Evaluation, Metric
from evaluators.base import Evaluator

class Odd(Evaluator):
    name = "odd"
    def metrics(self):
        return ("params", "accuracy", "latency")
    def evaluate(self, proposal, context):
        a, b, c, d = proposal.architecture.values
        if c % 2:
            return None
        values = [("params", 1.0), ("accuracy", float("nan") if b % 2 else 1.0), ("latency", 2.0), ("latency", 3.0)]
        return Evaluation(proposal, metrics=tuple(Metric(*value) for value in values))
"""


def test_odd_evaluators_are_recorded_outcomes(tmp_path):
    from dataclasses import replace

    (tmp_path / "odd.py").write_text(ODD)
    odd = order(tmp_path, 60)
    plan = replace(odd.plan, evaluator=f"{tmp_path}/odd.py:Odd", evaluator_settings={})
    study, progress = search(replace(odd, plan=plan))
    assert progress.counts["failed"] and progress.counts["diverged"] and progress.counts["ok"]
    reasons = {row.reason for row in study.rows()}
    assert "odd: TypeError: evaluate() must return an Evaluation, not NoneType" in reasons
    assert "odd: accuracy is nan" in reasons
    assert all(row.values["latency"] == 2.0 for row in study.rows(statuses=["ok"]))


def test_ray_workers_share_the_work_and_survive_each_other(tmp_path):
    import ray

    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        study, progress = search(order(tmp_path, 40, pause=0.01, die_at=str(tmp_path / "died"), workers=2))
        assert not ray.is_initialized()
        assert (progress.done, study.counts()["running"]) == (40, 0)
        calls = Counter(lines(tmp_path))
        # The job whose worker died was given out again, and nothing else was worked on twice.
        assert (tmp_path / "died").exists() and sorted(calls.values()) == [1] * 39 + [2]
        assert len({line.split()[1] for line in (tmp_path / "log.txt").read_text().splitlines()}) >= 2
        assert not any("died" in row.reason for row in study.rows())
        (tmp_path / "all").mkdir()
        study, progress = search(order(tmp_path / "all", 2, die_at="always", workers=2))
        assert study.counts() == {"failed": 2}
        assert all("worker died 3 times" in row.reason for row in study.rows())
    finally:
        ray.shutdown()


def test_a_ray_cluster_that_nobody_runs_is_one_line(tmp_path):
    with pytest.raises(WrongUse, match=r"no Ray cluster answers at 127\.0\.0\.1:1 .*ray start --head"):
        search(order(tmp_path, 3, ray_address="127.0.0.1:1", workers=2))


@pytest.mark.chaos
def test_a_full_disk_is_said_and_loses_nothing(tmp_path):
    """Needs root, to mount a small file system."""
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "t", tmp_path]).returncode:
        pytest.skip("no file system of a fixed size can be mounted here")
    try:
        with pytest.raises(StudyUnwritable, match="free space on the disk"):
            search(order(tmp_path, 1296, log=False))
        recorded = [row for row in open_study("s", f"sqlite:///{tmp_path}/s.db").rows() if row.told_at]
        assert len(recorded) > 20
        subprocess.run(["mount", "-o", "remount,size=60m", tmp_path], check=True)
        study, progress = search(order(tmp_path, len(recorded) + 10, log=False))
        assert progress.done_here == 10
        assert [row.digest for row in study.rows()][: len(recorded)] == [row.digest for row in recorded]
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)

"""What is said while a search runs: what it is about, what each worker does, and the answer to Ctrl-C."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from archfront.commands import progress as shown
from archfront.commands.progress import Lines, share, status, stopping
from archfront.search import Budget, Progress
from archfront.watching import Activity, Notice
from tests.commands.conftest import table_search

WATCHED = Path(__file__).resolve().parents[1] / "search" / "watched.py"


def of_workers(*activities: Activity, running: int, **fields: Any) -> Progress:
    def watch() -> Sequence[Activity]:
        return activities

    return Progress(Budget(evaluations=9), running=running, watch=watch, **fields)


TRAINING = Activity("worker 1", "training", 12, 41.4, "epoch 3 of 9")
MEASURING = Activity("host", "measuring the latency of", 14, 2.0)


def test_what_waits_is_not_running() -> None:
    said = status(of_workers(TRAINING, MEASURING, running=3))
    assert "2 running" in said and said.endswith("1 queued")
    assert "queued" not in status(of_workers(TRAINING, MEASURING, running=2))


def test_lines_tell_what_each_worker_does(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "FIRST_S", 0.0)
    progress = of_workers(TRAINING, MEASURING, running=2, about=["data digits"], found=["2 pictures are broken"])
    lines = Lines("study 'a'")
    lines(progress)
    *first, third = capsys.readouterr().out.splitlines()
    assert first == ["study 'a'", "data digits", "note: 2 pictures are broken"]
    assert "worker 1: training candidate 12, epoch 3 of 9, 41 s; host: measuring the latency of candidate 14" in third
    lines(progress)  # nothing is new, and the next line isn't due
    assert capsys.readouterr().out == ""


def test_the_clock_alone_brings_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "FIRST_S", 0.0)
    monkeypatch.setattr(shown, "LINE_S", 0.0)
    lines = Lines("study 'a'")
    progress = Progress(Budget())
    progress.enter("reading the data 'digits'")
    lines(progress)
    lines.tick()
    assert capsys.readouterr().out.count("reading the data 'digits'") == 2


def test_ctrl_c_is_answered_once(capsys: pytest.CaptureFixture[str]) -> None:
    progress = of_workers(TRAINING, running=1, done=1, stopping=True, about=["data digits"])
    assert stopping(progress).startswith("stopping: 1 evaluation finished and kept; waiting for worker 1: training")
    lines = Lines("study 'a'")
    lines(progress)
    lines(progress)
    assert capsys.readouterr().out.count("stopping:") == 1


def test_the_bar_follows_the_budget_that_ends_first() -> None:
    progress = Progress(Budget(evaluations=8, minutes=10), done=2)
    progress.started -= 300
    assert share(progress) == pytest.approx(0.5, abs=0.01)
    progress.done = 6
    assert share(progress) == 0.75
    assert share(Progress(Budget())) is None


def test_an_evaluation_in_this_very_process_is_seen_and_interrupted(tmp_path: Path) -> None:
    """The evaluation ends only when both its line and the answer to Ctrl-C were read, so without these it fails."""
    seen = tmp_path / "seen"
    words = ["--space", f"{WATCHED}:space", "--evaluator", f"{WATCHED}:Watched", "--set", f"evaluator.seen={seen}"]
    words += ["--objective", "params", "--evaluations", "3", "--controller", "random"]
    program = [sys.executable, "-m", "archfront", "search", *words]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment) as search:
        assert search.stdout is not None
        said = []
        for line in search.stdout:
            said.append(line)
            if "this process: weighing candidate 0, half way" in line and not seen.exists():
                if line.startswith("stopping"):
                    seen.touch()
                else:
                    search.send_signal(signal.SIGINT)
    assert "ended: interrupted; 1 evaluation in" in "".join(said), said


def test_a_notice_never_fails_an_evaluation(tmp_path: Path) -> None:
    notice = Notice(tmp_path, 3, "training")
    notice("epoch 1 of 2")
    notice("epoch 2 of 2")
    assert Notice(tmp_path, 3, "training").read() == "epoch 2 of 2"
    notice.remove()
    assert notice.read() == "starting" and not list((tmp_path / "activities").iterdir())
    Notice(tmp_path / "nowhere", 3, "training")("unheard")


@pytest.mark.parametrize("further", [[], ["--workers", "2"]])
def test_nothing_to_do_is_told_from_the_study_alone(
    further: list[str], archfront: Any, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["search", *table_search(table), "--study", "small", "--evaluations", 12]
    before = archfront(*words, "--json").json
    monkeypatch.setattr("archfront.run.search", lambda *_: pytest.fail("a search was started"))
    again = archfront(*words, *further, "--json")
    assert again.code == 0 and again.json["ended"] == "the budget of evaluations is used up"
    assert again.json["front"] == before["front"] and again.json["evaluations_in_this_run"] == 0


def test_another_plan_or_budget_is_not_taken_for_nothing_to_do(archfront: Any, table: Path) -> None:
    words = ["search", *table_search(table), "--study", "small"]
    archfront(*words, "--evaluations", 12)
    other = archfront("search", "--study", "small", "--objective", "score:max", "--evaluations", 12)
    assert other.code == 2 and "was started with objectives" in other.error
    more = archfront(*words, "--evaluations", 14, "--json").json
    assert more["evaluations_in_this_run"] == 2

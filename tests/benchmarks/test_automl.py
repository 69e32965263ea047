"""The comparison by CPU-seconds: what is counted, what is compared, and that it goes on where it stopped."""

import json
import math
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import automl
from benchmarks.automl_report import BEGIN, END, standings, tables, write_page
from benchmarks.automl_standings import latencies, limits, ratio, standing
from benchmarks.contenders.interface import names
from benchmarks.cpu_meter import CpuMeter
from benchmarks.fronts import Point, covering, front, hypervolume

ORPHAN = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', {burn!r}], start_new_session=True)"
BURN = "import time\nwhile time.process_time() < 1.2: pass"


def record(contender: str, networks: list[tuple[float, float, str]], seed: int = 0) -> dict[str, Any]:
    """A run's record; networks are (validation, test, hash)."""
    shown = [{"name": s, "validation": v, "test": t, "sha256": s, "file": f"{s}.onnx"} for v, t, s in networks]
    row = {"set": "made", "minutes": 10.0, "contender": contender, "seed": seed, "cpu_seconds": 600.0}
    return {**row, "majority": 0.2, "networks": shown, "note": ""}


def test_a_process_whose_parent_ended_is_counted() -> None:
    with CpuMeter(every_s=0.1) as meter:
        before = meter.seconds
        subprocess.run([sys.executable, "-c", ORPHAN.format(burn=BURN)], check=True)
        deadline = time.monotonic() + 60
        while meter.seconds - before < 1.0 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert meter.seconds - before >= 1.0


def test_what_a_process_used_between_two_readings_is_counted_once_it_was_waited_for() -> None:
    with CpuMeter(every_s=60) as meter:
        before = meter.seconds
        waiting = "import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
        subprocess.run([sys.executable, "-c", waiting.format(burn=BURN)], check=True)
        assert 1.0 <= meter.seconds - before < 5.0


def test_a_hypervolume_is_the_area_in_accuracy_and_logarithm_of_latency() -> None:
    worst = Point(0.2, math.e**2)
    assert hypervolume([Point(0.7, math.e)], worst) == pytest.approx(0.5)
    assert hypervolume([Point(0.7, math.e), Point(0.9, math.e**1.5), Point(0.5, 7.0)], worst) == pytest.approx(0.6)
    assert hypervolume([Point(0.9, 8.0), Point(0.1, 1.0)], worst) == 0
    assert hypervolume([], worst) == 0


def test_a_front_holds_what_nothing_is_better_than() -> None:
    points = [Point(0.6, 2.0), Point(0.5, 1.0), Point(0.5, 3.0), Point(0.9, 4.0)]
    assert front(points) == [1, 0, 3]


def test_those_that_cover_most_together_are_taken_not_the_most_accurate() -> None:
    points = [Point(0.80, 4.0), Point(0.81, 4.1), Point(0.60, 0.5), Point(0.79, 4.2)]
    assert set(covering(points, 2, Point(0.1, 5.0))) == {0, 2}
    assert sorted(covering(points, 9, Point(0.1, 5.0))) == [0, 1, 2, 3]


def test_quiet_latencies_go_before_those_that_were_worked_out() -> None:
    rows = [("a", 1.0, False), ("a", 9.0, True), ("a", 3.0, False), ("b", 5.0, True)]
    found = latencies({"sha256": s, "latency_ms": ms, "corrected": c} for s, ms, c in rows)
    assert found == {"a": 2.0, "b": 5.0}


def test_limits_are_the_engineers_and_each_of_its_runs_has_a_network_within() -> None:
    runs = [
        record("engineer", [(0.5, 0.5, "a"), (0.8, 0.8, "b")]),
        record("engineer", [(0.6, 0.6, "c")], seed=1),
        record("archfront", [(0.9, 0.9, "d")]),
    ]
    found = limits(runs, {"a": 1.0, "b": 16.0, "c": 4.0, "d": 100.0})
    assert found == pytest.approx((1.05 * 4, 1.05 * 8, 1.05 * 16))
    assert limits(runs, {}) is None


def test_networks_are_chosen_by_validation_and_judged_by_test() -> None:
    run = record("engineer", [(0.5, 0.45, "a"), (0.8, 0.6, "b"), (0.7, 0.9, "c")])
    found = standing(run, {"a": 1.0, "b": 2.0, "c": 3.0}, (0.5, 1.5, 4.0))
    assert found.accuracies == (0.2, 0.45, 0.6)
    assert found.hypervolume == pytest.approx(0.25 * math.log(4) + 0.15 * math.log(2))


def test_ratios_compare_the_seeds_that_both_have() -> None:
    latency = {"a": 1.0, "b": 1.0}
    within = (1.0, 1.0, math.e)
    ours = [standing(record("archfront", [(0.8, 0.8, "a")], seed), latency, within) for seed in (0, 1)]
    theirs = [standing(record("engineer", [(0.6, 0.5, "b")]), latency, within)]
    assert ratio(ours, theirs) == pytest.approx(2.0)
    assert ratio(ours, []) is None


def test_a_page_keeps_what_stands_around_its_tables(tmp_path: Path) -> None:
    page = tmp_path / "automl.md"
    write_page(page, "first", tmp_path / "automl.png")
    page.write_text(page.read_text() + "\nwritten by hand\n")
    found = standings([record("engineer", [(0.6, 0.5, "b")])], {"b": 1.0})
    write_page(page, tables(found), tmp_path / "automl.png")
    text = page.read_text()
    assert "first" not in text and "| engineer | 1 | 10.0 | 0.500 |" in text
    assert text.rstrip().endswith("written by hand") and text.count(BEGIN) == text.count(END) == 1


def test_what_has_a_record_is_not_run_again_and_what_failed_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run_one(order: dict[str, Any], to: Path) -> dict[str, Any] | str:
        asked.append(order["contender"])
        return (
            "killed"
            if order["contender"] == "engineer"
            else {**record(order["contender"], []), **order} | {"wall_seconds": 1.0}
        )

    monkeypatch.setattr(automl, "run_one", run_one)
    words = ["--to", str(tmp_path), "--data", "digits", "--contenders", "engineer,optuna-tpe", "--budgets", "10"]
    given = automl.parsed([*words, "--seeds", "0", "--steps", "run"])
    automl.run_all(given)
    automl.run_all(given)
    assert asked == ["engineer", "optuna-tpe", "engineer"]


def test_a_row_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    automl.append(file, {"a": 1})
    with file.open("a") as opened:
        opened.write('{"cut o')
    automl.append(file, {"b": 2})
    automl.append(file, {"c": 3})
    assert automl.known(file) == [{"a": 1}, {"b": 2}, {"c": 3}]


def test_an_ablation_is_a_contender_and_an_unknown_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--to", str(tmp_path), "--data", "digits"]
    given: Namespace = automl.parsed([*words, "--contenders", "archfront", "--ablate", "finals,rungs"])
    assert given.contenders == ["archfront", "archfront-without-finals", "archfront-without-rungs"]
    assert names() == ["archfront", "engineer", "optuna-nsga2", "optuna-tpe", "supernet"]
    with pytest.raises(SystemExit):
        automl.parsed([*words, "--ablate", "luck"])
    assert "'luck'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_command_runs_measures_and_writes_its_page(tmp_path: Path) -> None:
    page, to = tmp_path / "docs" / "automl.md", tmp_path / "kept"
    words = ["--data", "digits", "--cpu-minutes", "0.75", "--seeds", "0", "--contenders", "engineer,optuna-nsga2"]
    command = [sys.executable, "-m", "benchmarks.automl", "--to", str(to), "--page", str(page), "--rounds", "1", *words]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (to / "results.jsonl").read_text().splitlines()]
    assert {row["contender"]: bool(row["networks"]) for row in records} == {"engineer": True, "optuna-nsga2": True}
    engineer = next(row for row in records if row["contender"] == "engineer")
    assert len(engineer["networks"]) == 3
    # A file is the network that its contender trained: what it said of itself holds for it.
    assert all(one["validation"] == pytest.approx(one["said"], abs=0.02) for one in engineer["networks"])
    assert "| optuna-nsga2 |" in page.read_text()
    again = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert "0 of 2 runs to do" in again.stdout

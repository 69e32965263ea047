"""Ray Tune as the launcher: its schedulers stop and steer trainings, and the study says so."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archfront.contracts import WrongUse
from archfront.plan import Plan
from archfront.run import Order, search
from archfront.search import Budget
from archfront.study import Row, Study, open_study

HERE = Path(__file__).parent
GRADED = HERE / "graded.py"
FULL = 9
RUN = """
import sys
from archfront.run import search
sys.path.insert(0, {here!r})
from test_ray_tune import order
search(order({folder!r}, 24, pause=0.1))
"""


@pytest.fixture(autouse=True)
def no_ray_left() -> Iterator[None]:
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    yield
    import ray

    assert not ray.is_initialized()


def order(folder: str | Path, evaluations: int, pause: float = 0.0, die_at: str = "", **kwargs: Any) -> Order:
    plan = Plan(
        space=f"{GRADED}:space",
        evaluator=f"{GRADED}:Graded",
        evaluator_settings={"log": str(Path(folder) / "log.txt"), "pause": pause, "die_at": die_at},
        objectives=kwargs.pop("objectives", ("accuracy:max", "params:min")),
        seed=3,
    )
    named: dict[str, Any] = {"controller": "random", "launcher": "ray-tune", "workers": 2, **kwargs}
    return Order(plan, "s", f"sqlite:///{folder}/s.db", budget=Budget(evaluations=evaluations), **named)


def digits(folder: Path, evaluations: int, launcher: str, **kwargs: Any) -> Order:
    plan = Plan(
        space=kwargs.pop("space", ""),
        data="digits",
        evaluator_settings={"epochs": kwargs.pop("epochs", 3)},
        objectives=("accuracy",),
        seed=1,
    )
    url = f"sqlite:///{folder}/{launcher}.db"
    return Order(plan, "s", url, "random", budget=Budget(evaluations=evaluations), launcher=launcher, **kwargs)


def trained(folder: Path) -> Counter[str]:
    """How often each epoch of each candidate was trained."""
    return Counter((folder / "log.txt").read_text().splitlines())


def check_stopped(study: Study, scheduler: str) -> list[Row]:
    """What was stopped is at the fidelity that it came to, has its reason, and is not on the front."""
    stopped = [row for row in study.rows() if row.fidelity]
    for row in stopped:
        assert row.status == "ok"
        assert row.reason.startswith(f"stopped by {scheduler} after {row.fidelity} of {FULL} epochs, at accuracy ")
    assert not {point.number for point in study.points()} & {row.number for row in stopped}
    assert {point.number for point in study.points()} == {row.number for row in study.rows() if not row.fidelity}
    return stopped


def test_asha_stops_some_and_the_study_says_so(tmp_path: Path) -> None:
    study, progress = search(order(tmp_path, 16, workers=1))
    assert (progress.done, study.counts()) == (16, {"ok": 16})
    stopped = check_stopped(study, "ASHA")
    assert {row.fidelity for row in stopped} <= {1, 4} and 0 < len(stopped) < 16
    epochs = sum(row.fidelity or FULL for row in study.rows())
    assert len(trained(tmp_path)) == sum(trained(tmp_path).values()) == epochs < 16 * FULL
    # The files that trainings left are the study's, and Tune's own are gone.
    for row in study.rows():
        [weights] = study.candidate(row.digest).artifacts
        assert (study.folder / weights.path).read_text() == str(row.fidelity or FULL)
    assert not (study.folder / "ray-tune").exists()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"launcher_settings": {"scheduler": "ashaa"}}, "there is no 'ashaa'; did you mean 'asha'"),
    ({"launcher_settings": {"grace": 2}}, "no setting 'grace'; did you mean 'grace_epochs'"),
    ({"launcher_settings": {"population": 4}}, "launcher.population is a setting of the scheduler pbt, not of 'asha'"),
    ({"launcher_settings": {"reduction": 1}}, "reduction=1 must be a number above 1"),
    ({"launcher_settings": {"grace_epochs": 0}}, "grace_epochs=0 must be an integer of 1 or more"),
    ({"launcher_settings": {"grace_epochs": 9}}, "grace_epochs=9 must be below the 9 epochs"),
    ({"launcher_settings": {"scheduler": "pbt"}}, "pbt changes the recipe"),
    ({"objectives": ("loss",)}, "loss"),
    ({"controller": "asha"}, "this controller says itself how long"),
    ({"launcher": "ray", "launcher_settings": {"scheduler": "asha"}}, "the launcher 'ray' has no setting 'scheduler'"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_wrong_settings_are_one_line_and_write_nothing(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongUse) as error:
        search(order(tmp_path, 4, **change))
    assert message in str(error.value) and "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("evaluator", "objective", "settings", "message"),
    [
        ("training", "latency_ms", {}, "no objective is measured by the training (accuracy, balanced_accuracy, loss, "),
        ("training", "accuracy", {"scheduler": "pbt", "mutate": {"lrr": "1,2"}}, "did you mean 'lr'"),
        ("training", "accuracy", {"scheduler": "pbt", "mutate": {"optimizer": "adamw,sgd"}}, "optimizer can't change"),
        ("training", "accuracy", {"scheduler": "pbt", "mutate": {"clip": "0,1"}}, "clip is part of the candidates"),
        (f"{HERE / 'counting.py'}:Counting", "accuracy", {}, "has no epochs; say --launcher ray"),
    ],
)
def test_searches_that_tune_cannot_schedule_are_refused(
    tmp_path: Path, evaluator: str, objective: str, settings: dict[str, Any], message: str
) -> None:
    plan = Plan(data="digits", evaluator=evaluator, objectives=(objective,))
    if evaluator == "training":
        plan = Plan(data="digits", objectives=(objective,), search_recipe={"clip": "0,5"})
    wrong = Order(plan, "s", f"sqlite:///{tmp_path}/s.db", "random", launcher="ray-tune", launcher_settings=settings)
    with pytest.raises(ValueError) as error:
        search(Order(**{**vars(wrong), "budget": Budget(evaluations=4)}))
    assert message in str(error.value) and "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_median_stopping_stops_some(tmp_path: Path) -> None:
    settings = {"scheduler": "median", "grace_epochs": 2, "min_samples": 2}
    study, _ = search(order(tmp_path, 20, launcher_settings=settings))
    stopped = check_stopped(study, "the median stopping rule")
    assert 0 < len(stopped) < 20 and all(row.fidelity >= 2 for row in stopped)
    assert sum(trained(tmp_path).values()) < 20 * FULL
    # The same study goes on with another scheduler; what was stopped isn't trained again.
    study, progress = search(order(tmp_path, 22, launcher_settings={"scheduler": "none"}))
    assert (progress.done, progress.done_here) == (22, 2)
    assert [row.fidelity for row in study.rows()][20:] == [0, 0]
    assert max(trained(tmp_path).values()) == 1


@pytest.mark.slow
def test_without_a_scheduler_figures_and_weights_are_those_of_the_inline_launcher(tmp_path: Path) -> None:
    alone, _ = search(digits(tmp_path, 3, "inline"))
    tuned, _ = search(digits(tmp_path, 3, "ray-tune", workers=2, launcher_settings={"scheduler": "none"}))
    assert [row.digest for row in tuned.rows()] == [row.digest for row in alone.rows()]
    assert [row.values for row in tuned.rows()] == [row.values for row in alone.rows()]
    for row in alone.rows():
        assert tuned.candidate(row.digest).metrics == alone.candidate(row.digest).metrics
        assert tuned.candidate(row.digest).artifacts == alone.candidate(row.digest).artifacts


@pytest.mark.slow
def test_a_population_hands_on_hyper_parameters_and_weights(tmp_path: Path) -> None:
    settings = {"scheduler": "pbt", "population": 4, "mutate": {"lr": "log_uniform(1e-5,1e-2)"}}
    space = f"{HERE / 'one_network.py'}:space"
    study, _ = search(digits(tmp_path, 6, "ray-tune", workers=2, epochs=5, space=space, launcher_settings=settings))
    assert study.counts() == {"ok": 6} and all(row.fidelity == 0 for row in study.rows())
    digests = {row.digest for row in study.rows()}
    taken = 0
    for row in study.rows():
        candidate = study.candidate(row.digest)
        [file] = [artifact.path for artifact in candidate.artifacts if artifact.kind == "schedule"]
        schedule = json.loads((study.folder / file).read_text())
        assert row.reason.startswith(f"ended with lr={schedule[-1]['lr']:g}")
        exploits = [change for change in schedule if "of" in change]
        assert len(exploits) == len(schedule) - 1
        assert all(change["of"] in digests and change["weights"] and 0 < change["after"] < 5 for change in exploits)
        assert ("schedule=" in candidate.metrics[-1].provenance.protocol) == bool(exploits)
        taken += len(exploits)
    assert taken >= 1


@pytest.mark.chaos
def test_a_worker_that_dies_is_replaced_and_goes_on_from_its_last_epoch(tmp_path: Path) -> None:
    study, _ = search(order(tmp_path, 4, die_at=str(tmp_path / "died"), launcher_settings={"scheduler": "none"}))
    assert (tmp_path / "died").exists() and study.counts() == {"ok": 4}
    # Only the epoch in which it died was trained again.
    assert sum(trained(tmp_path).values()) == 4 * FULL + 1
    (tmp_path / "all").mkdir()
    study, _ = search(order(tmp_path / "all", 2, die_at="always", launcher_settings={"scheduler": "none"}))
    assert study.counts() == {"failed": 2}
    assert all(row.reason.startswith("graded: the worker died 3 times") for row in study.rows())


@pytest.mark.chaos
def test_a_training_that_hangs_is_ended_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archfront.launchers.ray_tune.GRACE_S", 1.0)
    hanging = order(tmp_path, 2, pause=3600.0)
    study, _ = search(replace(hanging, plan=replace(hanging.plan, timeout_s=1.0)))
    assert study.counts() == {"timed_out": 2}
    assert all("its worker was killed" in row.reason for row in study.rows())


@pytest.mark.chaos
def test_kill_9_and_the_same_command_again_goes_on(tmp_path: Path) -> None:
    told: set[tuple[str, int]] = set()
    for _ in range(2):
        run = subprocess.Popen([sys.executable, "-c", RUN.format(here=str(HERE), folder=str(tmp_path))])
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and len(ended(tmp_path)) < len(told) + 4:
            time.sleep(0.2)
        run.kill()
        run.wait()
        assert told < ended(tmp_path)
        told = ended(tmp_path)
    study, progress = search(order(tmp_path, 24, pause=0.1))
    assert (progress.done, progress.done_here) == (24, 24 - len(told))
    assert told <= ended(tmp_path) and study.counts() == {"ok": 24}
    assert len(check_stopped(study, "ASHA")) > 0
    # Only what was under way at a kill may have been trained again: three trainings at most each time.
    assert sum(count - 1 for count in trained(tmp_path).values()) <= 2 * 3 * FULL


def ended(folder: Path) -> set[tuple[str, int]]:
    """What the study has recorded."""
    if not (folder / "s.db").exists() or not (folder / "s.files").exists():
        return set()
    try:
        rows = open_study("s", f"sqlite:///{folder}/s.db").rows()
    except WrongUse:
        return set()
    return {(row.digest, row.fidelity) for row in rows if row.told_at}

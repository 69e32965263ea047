"""Candidates at several fidelities in real searches: stored and paid for once each, and resumed, also after kill -9."""

import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from archfront.contracts import Proposal, WrongUse
from archfront.plan import Experiment, Plan
from archfront.run import Order, search
from archfront.search import Budget
from archfront.study import Study, open_study

HERE = Path(__file__).parent
FILE = HERE / "graded.py"
RUN = """
import sys
from archfront.run import search
sys.path.insert(0, {here!r})
from test_multi_fidelity import order
search(order({folder!r}, pause={pause}))
"""


def order(folder: str | Path, evaluations: int = 60, pause: float = 0.0, **kwargs) -> Order:
    plan = Plan(
        space=f"{FILE}:space",
        evaluator=f"{FILE}:Graded",
        evaluator_settings={"log": str(Path(folder) / "log.txt"), "pause": pause},
        objectives=("accuracy:max", "params:min"),
        seed=3,
    )
    # Rungs of 1, 3 and 9 epochs.
    thirds = {"min_fidelity": 1 / 9, "reduction": 3}
    named = {"controller": "asha", "controller_settings": thirds, **kwargs}
    return Order(plan, "s", f"sqlite:///{folder}/s.db", budget=Budget(evaluations=evaluations), **named)


def asked(study: Study) -> list[tuple[str, int]]:
    return [(row.digest, row.fidelity) for row in study.rows()]


@pytest.mark.parametrize("controller", ["asha", "hyperband"])
def test_each_fidelity_is_stored_once_and_each_epoch_trained_once(tmp_path, controller):
    study, progress = search(order(tmp_path, controller=controller))
    assert progress.done == len(set(asked(study))) == 60
    assert {fidelity for _, fidelity in asked(study)} == {1, 3, 0}
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert max(Counter(lines).values()) == 1
    reached: dict[str, int] = {}
    for digest, fidelity in asked(study):
        reached[digest] = fidelity or 9
    assert len(lines) == sum(reached.values())


def test_the_front_is_of_full_trainings_alone(tmp_path):
    study, progress = search(order(tmp_path))
    full = {row.number for row in study.rows() if not row.fidelity}
    assert study.front() and {point.number for point in study.points()} == full
    assert [point.digest for point in progress.front] and {p.number for p in progress.front} <= full
    best = study.candidate(study.front()[0].digest)
    assert [row.fidelity for row in best.rows][-1] == 0 and len(best.rows) > 1
    assert best.values["accuracy"] == study.front()[0].values["accuracy"]


@pytest.mark.chaos
def test_kill_9_at_any_moment_changes_nothing(tmp_path):
    (tmp_path / "whole").mkdir()
    whole, _ = search(order(tmp_path / "whole"))
    rng, kills = Random(1), 0
    while kills < 8:
        code = RUN.format(here=str(HERE), folder=str(tmp_path), pause=0.02)
        run = subprocess.Popen([sys.executable, "-c", code])
        time.sleep(rng.uniform(1.0, 2.5))
        if run.poll() is not None:
            break
        run.kill()
        run.wait()
        kills += 1
    assert kills >= 2
    study, _ = search(order(tmp_path, pause=0.02))
    assert asked(study) == asked(whole)
    assert [row.values for row in study.rows()] == [row.values for row in whole.rows()]
    repeated = Counter((tmp_path / "log.txt").read_text().splitlines())
    # Only what was under way when a process was killed was trained again.
    assert sum(repeated.values()) - len(repeated) <= 9 * kills


def test_a_search_that_stops_and_goes_on_is_the_uninterrupted_one(tmp_path):
    (tmp_path / "whole").mkdir()
    whole, _ = search(order(tmp_path / "whole"))
    for evaluations in (1, 7, 8, 33, 60):
        study, _ = search(order(tmp_path, evaluations))
    assert asked(study) == asked(whole)


def test_an_evaluator_without_fidelities_refuses_before_anything_is_written(tmp_path):
    file = HERE / "counting.py"
    plan = Plan(space=f"{file}:space", evaluator=f"{file}:Counting", objectives=("accuracy:max",))
    with pytest.raises(WrongUse, match="one fidelity alone"):
        search(Order(plan, "s", f"sqlite:///{tmp_path}/s.db", "asha", budget=Budget(evaluations=5)))
    assert not (tmp_path / "s.db").exists()


def test_trainings_go_on_from_their_checkpoints_to_the_same_weights(tmp_path):
    plan = Plan(
        data="digits",
        evaluator_settings={"epochs": 3},
        objectives=("accuracy",),
        seed=1,
    )
    settings = {"of": "random", "fidelities": [0.34], "reduction": 2}
    url = f"sqlite:///{tmp_path}/s.db"
    study, _ = search(Order(plan, "s", url, "asha", settings, Budget(evaluations=3)))
    first, _, promoted = study.rows()
    assert (first.fidelity, promoted.fidelity, promoted.origin) == (1, 0, "promotion")
    parts = open_study("s", url).candidate(promoted.digest).parts
    assert {part["evaluator"]: part["seconds"] > 0 for part in parts} == {"cost": False, "training": True}
    # The same candidate, trained in one go in another folder.
    alone = Experiment(replace(plan, folder=str(tmp_path / "alone")))
    architecture = alone.space.from_json(study.candidate(promoted.digest).architecture)
    whole = alone.work("training", Proposal(architecture, promoted.digest))
    assert whole.values == {name: promoted.values[name] for name in whole.values}
    weights = [a.sha256 for a in study.candidate(promoted.digest).artifacts if a.kind == "weights"]
    assert weights == [a.sha256 for a in whole.artifacts if a.kind == "weights"]

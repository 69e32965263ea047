"""Launchers are found by name or in a user's file, their settings are checked, and Ray may be missing."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archfront.contracts import WrongUse
from archfront.launchers.base import LAUNCHERS
from archfront.plan import Plan
from archfront.run import Order, search
from archfront.search import Budget

HERE = Path(__file__).parent
OWN = HERE / "own_launcher.py"
COUNTING = HERE / "counting.py"


def order(folder: Path, launcher: str, **kwargs: Any) -> Order:
    plan = Plan(space=f"{COUNTING}:space", evaluator=f"{COUNTING}:Counting", objectives=("accuracy", "latency:min"))
    named: dict[str, Any] = {"controller": "random", "budget": Budget(evaluations=12), **kwargs}
    return Order(plan, "s", f"sqlite:///{folder}/s.db", launcher=launcher, **named)


def test_a_search_with_a_launcher_of_ones_own(tmp_path: Path) -> None:
    settings = {"depth": 3, "log": str(tmp_path / "log.txt")}
    study, progress = search(order(tmp_path, f"{OWN}:Stack", workers=4, launcher_settings=settings))
    assert progress.done == len(study.rows()) == 12
    numbers = [int(line) for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert sorted(numbers) == list(range(1, 13)) and numbers[0] == 3, "the last of three came first"
    (tmp_path / "inline").mkdir()
    inline, _ = search(order(tmp_path / "inline", "inline"))
    assert {row.digest for row in inline.rows()} == {row.digest for row in study.rows()}


WRONG: list[tuple[str, dict[str, Any], str]] = [
    (f"{OWN}:Stack", {"launcher_settings": {"deep": 3}}, "has no setting 'deep'; did you mean 'depth'?"),
    (f"{OWN}:Stack", {"launcher_settings": {"depth": 0}}, "depth is 1 or more"),
    (f"{OWN}:Stack", {"launcher_settings": {"depth": 6}, "controller": "asha"}, "have one fidelity alone"),
    (f"{OWN}:Stack", {"ray_address": "auto"}, "joins no cluster; leave ray_address out, or say --launcher ray"),
    (f"{OWN}:Single", {"workers": 2}, "has one worker, not 2; say --launcher ray"),
    (f"{OWN}:Path", {}, "is no launcher; give a class derived from archfront.launchers.base.Launcher"),
    (f"{OWN}:Stak", {}, "did you mean 'Stack'"),
    ("inlin", {}, "no launcher is named 'inlin'; did you mean 'inline'?"),
    ("inline", {"launcher_settings": {"scheduler": "asha"}}, "say --launcher ray-tune, or leave it out"),
    ("inline", {"launcher_settings": {"colour": 1}}, "has no setting 'colour'; it takes none"),
]


@pytest.mark.parametrize(("launcher", "kwargs", "cause"), WRONG, ids=[cause for _, _, cause in WRONG])
def test_what_cant_be_is_one_line_and_writes_nothing(
    launcher: str, kwargs: dict[str, Any], cause: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=cause) as raised:
        search(order(tmp_path, launcher, **kwargs))
    assert "\n" not in str(raised.value) and list(tmp_path.iterdir()) == []


def test_a_launcher_looks_at_the_search_before_it_begins(tmp_path: Path) -> None:
    graded = HERE / "graded.py"
    plan = Plan(space=f"{graded}:space", evaluator=f"{graded}:Graded", objectives=("accuracy",))
    wanted = order(tmp_path, f"{OWN}:Stack", launcher_settings={"depth": 6}, controller="asha")
    with pytest.raises(WrongUse, match="keeps low fidelities waiting"):
        search(replace(wanted, plan=plan))
    assert list(tmp_path.iterdir()) == []


WITHOUT_RAY = """
import sys
sys.modules["ray"] = None
from archfront.commands import run
sys.exit(run(sys.argv[1:]))
"""


def without_ray(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """What the command line does where Ray isn't installed."""
    common = ["search", "--space", f"{COUNTING}:space", "--evaluator", f"{COUNTING}:Counting", "--controller", "random"]
    common += ["--objective", "accuracy", "--evaluations", "3"]
    code = [sys.executable, "-c", WITHOUT_RAY, *common, *words]
    return subprocess.run(code, capture_output=True, text=True, cwd=folder)


def test_without_ray_the_others_work(tmp_path: Path) -> None:
    assert without_ray(tmp_path).returncode == 0
    own = without_ray(tmp_path, "--study", "own", "--launcher", f"{OWN}:Stack")
    assert own.returncode == 0, own.stderr
    wrong = without_ray(tmp_path, "--launcher", "slurm")
    assert (wrong.returncode, wrong.stderr.strip()) == (
        2,
        "error: no launcher is named 'slurm'; known: inline, ray, ray-tune",
    )


@pytest.mark.parametrize("name", ["ray", "ray-tune"])
def test_without_ray_its_launchers_say_how_to_install_it(name: str, tmp_path: Path) -> None:
    done = without_ray(tmp_path, "--launcher", name)
    assert done.returncode == 2 and list(tmp_path.iterdir()) == []
    assert done.stderr.strip() == f"error: the {name} launcher needs Ray; install it with: pip install 'archfront[ray]'"


def test_naming_the_launchers_loads_no_ray() -> None:
    code = f"""
import sys
from archfront.launchers.base import LAUNCHERS
assert LAUNCHERS.names() == {LAUNCHERS.names()!r}
assert "ray" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)

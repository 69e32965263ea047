"""What the command line costs before it does anything, and how it ends."""

import json
import subprocess
import sys

import pytest

from archfront.commands import app, run

HEAVY = ("torch", "ray", "timm", "sqlalchemy", "pydantic", "numpy", "plotly", "sklearn")
PROBE = f"""
import contextlib, io, json, sys, time
from archfront.commands import run
with contextlib.redirect_stdout(io.StringIO()) as said:
    code = run(["--help"])
found = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps([code, time.process_time(), found, said.getvalue()]))
"""


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    runs = [json.loads(subprocess.check_output([sys.executable, "-c", PROBE])) for _ in range(3)]
    seconds = min(cpu for _, cpu, _, _ in runs)
    alone = "import time, typer, rich.console; print(time.process_time())"
    least = min(float(subprocess.check_output([sys.executable, "-c", alone])) for _ in range(3))
    print(f"archfront --help: {seconds:.2f} s of CPU; typer and rich alone {least:.2f} s")
    assert seconds <= 4 * least
    code, _, found, said = runs[0]
    assert (code, found) == (0, [])
    assert {"search", "front", "export", "dashboard"} <= set(said.split())


def test_importing_archfront_is_light() -> None:
    code = f"import sys, archfront, archfront.contracts; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "Usage: archfront" in capsys.readouterr().out


@pytest.mark.parametrize("name", [command.name or command.callback.__name__ for command in app.registered_commands])
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    assert f"Usage: archfront {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["serch"], "did you mean 'search'"),
        (["search", "--spce", "x"], "no such option: --spce"),
        (["search", "--minutes", "soon"], "invalid value for '--minutes'"),
        (["show", "only-a-study"], "missing argument"),
    ],
)
def test_wrong_options_are_one_line_and_exit_2(
    words: list[str], cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert cause in said.lower()


def test_exit_code_of_the_process() -> None:
    done = subprocess.run([sys.executable, "-m", "archfront", "serch"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""


def test_bugs_are_not_hidden(monkeypatch: pytest.MonkeyPatch, archfront: object) -> None:
    monkeypatch.setattr("archfront.study.database.Database.__init__", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(["studies"])

"""`archfront search` on a small table: what it finds, how it goes on, what it refuses."""

import json
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import table_search

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
COUNTING = Path(__file__).resolve().parents[1] / "search" / "counting.py"


def test_ends_with_the_front_and_the_next_commands(archfront: Any, table: Path) -> None:
    done = archfront("search", *table_search(table), "--study", "small", "--evaluations", 60)
    assert done.code == 0, done.error
    assert "ended: the budget of evaluations is used up; 60 evaluations" in done.out
    assert "hypervolume" in done.out
    commands = [shlex.split(line, comments=True) for line in done.out.splitlines() if line.startswith("  archfront ")]
    assert [words[1] for words in commands] == ["show", "report", "dashboard", "search"]
    for words in commands:
        if words[1] in ("show", "report"):
            assert archfront(*words[1:]).code == 0
    again = archfront(*commands[-1][1:], "--minutes", 0.005)
    assert again.code == 0 and "60 evaluations" not in again.out.split("ended:")[1]


@pytest.mark.parametrize("on_path", [True, False])
def test_next_commands_can_be_pasted(on_path: bool, archfront: Any, table: Path) -> None:
    program = Path(sys.executable).with_name("archfront")
    if not program.exists():
        pytest.skip("the package isn't installed beside this Python")
    path = {"PATH": f"{program.parent}:/usr/bin:/bin" if on_path else "/usr/bin:/bin"}
    words = ["search", *table_search(table), "--study", "small", "--evaluations", "5"]
    said = subprocess.check_output([program, *words], text=True, env=path)
    [show] = [line for line in said.splitlines() if " show small " in line]
    assert subprocess.check_output(["/bin/sh", "-c", show], text=True, env=path).startswith("candidate")
    assert show.split()[0] == "archfront" or not on_path


def test_json_summary_agrees_with_the_study(archfront: Any, table: Path) -> None:
    found = archfront("search", *table_search(table), "--study", "s", "--evaluations", 30, "--json").json
    assert found["evaluations"] == {"ok": 30} and found["evaluations_in_this_run"] == 30
    assert found["front"] == archfront("front", "s", "--json").json
    scores = [point["metrics"]["score"] for point in found["front"]]
    assert scores == sorted(scores, reverse=True)


def test_goes_on_where_it_stopped(archfront: Any, table: Path) -> None:
    archfront("search", *table_search(table), "--study", "once", "--evaluations", 50, "--seed", 3)
    archfront("search", *table_search(table), "--study", "twice", "--evaluations", 20, "--seed", 3)
    more = archfront("search", "--study", "twice", "--evaluations", 50, "--json").json
    assert more["evaluations_in_this_run"] == 30
    assert more["front"] == archfront("front", "once", "--json").json


def test_the_default_controller_says_what_it_picks(archfront: Any, table: Path) -> None:
    few = archfront("search", *table_search(table), "--evaluations", 20)
    assert "controller model-based: with 20 evaluations, a model finds the front soonest" in few.out
    every = archfront("search", *table_search(table), "--study", "every", "--evaluations", 500, "--json").json
    [note] = every["notes"]
    assert note.startswith("controller exhaustive: ")


def test_a_setting_that_makes_no_sense_is_doubted(archfront: Any, table: Path) -> None:
    words = ["--controller", "nsga2", "--set", "controller.population=30", "--evaluations", 30, "--json"]
    [note] = archfront("search", *table_search(table), *words).json["notes"]
    assert note.startswith("population = 30 of 30 evaluations: all is drawn at random")
    assert archfront("search", *table_search(table), *words[:-3], "--evaluations", 31, "--json").json["notes"] == []


def test_auto_says_that_a_whole_search_will_be_random(archfront: Any, table: Path) -> None:
    notes = archfront("search", *table_search(table), "--evaluations", 8, "--json").json["notes"]
    assert notes[0].startswith("controller pareto-evolution: 8 evaluations are too few")
    assert notes[1].startswith("start = 10 of 8 evaluations: all is drawn at random")
    assert "--controller pareto-evolution --set controller.start=N" in notes[1]
    more = archfront("search", *table_search(table), "--study", "more", "--evaluations", 20, "--json").json["notes"]
    assert len(more) == 1


def test_where_bans_rows(archfront: Any, table: Path) -> None:
    found = archfront("search", *table_search(table), "--where", "even", "--evaluations", 500, "--json").json
    assert found["evaluations"] == {"ok": 108}
    assert found["ended"] == "the space is exhausted"


def test_study_file_and_options_over_it(archfront: Any, table: Path) -> None:
    Path("mine.toml").write_text(
        f'space = "table:{table}"\ndecisions = "a,b,c"\nevaluator = "table:{table}"\n'
        'objectives = ["score:max", "time:min"]\n[controller]\nname = "pareto-evolution"\nstart = 5\n'
        "[budget]\nevaluations = 10\n"
    )
    assert archfront("search", "mine.toml", "--json").json["study"] == "mine"
    more = archfront("search", "mine.toml", "--evaluations", 15, "--json").json
    assert more["evaluations"] == {"ok": 15}
    [row] = archfront("studies", "--json").json
    assert (row["study"], row["ok"], row["state"]) == ("mine", 15, "stopped")


def test_init_writes_a_study_file_that_is_valid(archfront: Any) -> None:
    from archfront.settings import read_study_file, settings_from

    done = archfront("init", "my study.toml")
    assert done.code == 0 and "archfront search" in done.out
    settings = settings_from(read_study_file(Path("my study.toml")), "file")
    assert settings.name == "my-study" and settings.order().plan.data == "digits"
    assert archfront("init", "my study.toml").code == 2
    assert archfront("init", "my study.toml", "--force").code == 0


def test_every_line_of_the_study_file_that_is_commented_out_is_valid() -> None:
    from archfront.settings import STUDY_FILE, Choice, settings_from

    text = STUDY_FILE.format(file="f", name="n", db="sqlite:///x.db")
    text = re.sub(r"^# (?=(\[\w+\]|\w+ = .*)$)", "", text, flags=re.M)
    import tomllib

    settings = settings_from(tomllib.loads(text), "file")
    assert (settings.launcher, settings.evaluator.settings) == (Choice(name="ray"), {"epochs": 12})


WRONG = [
    (["--space", "cel201"], "did you mean 'cell201'"),
    (["--space", "nowhere.py:space"], "no file nowhere.py"),
    (["--controller", "randm"], "did you mean 'random'"),
    (["--set", "controller.stat=3", "--controller", "pareto-evolution"], "did you mean 'start'"),
    (["--evaluator", "trainig"], "did you mean 'training'"),
    (["--objective", "acuracy"], "acuracy"),
    (["--objective", "acuracy:max"], "did you mean 'accuracy'"),
    (["--constraint", "params<200k"], "params<=200k"),
    (["--constraint", "params<=10", "--space", f"{EXAMPLES}/own_part.py:attentive"], "can't be met"),
    (["--launcher", "inline", "--workers", "2"], "the inline launcher has one worker"),
    (["--set", "evaluator.epoch=3"], "did you mean 'epochs'"),
    (["--set", "wrkers=3"], "did you mean 'workers'"),
    (["--set", "workers"], "KEY=VALUE"),
    (["--device", "pixl"], "no device is named 'pixl'"),
    (["--launcher", "slurm"], "no launcher is named 'slurm'"),
    (["--launcher", "ray-tune", "--set", "launcher.scheduler=ashaa"], "did you mean 'asha'"),
    (["--set", "launcher.scheduler=asha"], "say --launcher ray-tune"),
    (["--workers", "0"], "greater than or equal to 1"),
    (["--study", "../x"], "name"),
    (["--data", "folder:missing"], "missing"),
    (["--data", "npz:missing.npz"], "missing.npz"),
    (["--data", "digts"], "did you mean 'digits'"),
    (["missing.toml"], "archfront init"),
]


@pytest.mark.parametrize(("words", "cause"), WRONG, ids=[" ".join(words[:2]) for words, _ in WRONG])
def test_wrong_input_is_one_line_and_writes_nothing(words: list[str], cause: str, archfront: Any) -> None:
    done = archfront("search", "--evaluations", 3, *words)
    assert done.code == 2
    assert done.out == ""
    assert done.error.startswith("error: ") and done.error.count("\n") == 1
    assert cause in done.error
    assert list(Path().iterdir()) == []


def test_a_search_needs_a_budget(archfront: Any) -> None:
    done = archfront("search")
    assert done.code == 2 and "--evaluations" in done.error and list(Path().iterdir()) == []


def test_misspelt_key_in_a_study_file_names_file_and_key(archfront: Any) -> None:
    Path("s.toml").write_text("[budget]\nevaluation = 3\n")
    done = archfront("search", "s.toml")
    assert done.code == 2
    assert "s.toml" in done.error and "'budget.evaluation'" in done.error and "'evaluations'" in done.error
    Path("s.toml").write_text("name = \n")
    assert "can't be read as TOML" in archfront("search", "s.toml").error


def test_a_study_keeps_what_makes_it(archfront: Any, searched: str) -> None:
    before = archfront("front", searched, "--json").json
    for words in (["--seed", 4], ["--objective", "score:max"], ["--where", "even"]):
        done = archfront("search", "--study", searched, "--evaluations", 60, *words)
        assert done.code == 2 and "was started with" in done.error
    assert archfront("front", searched, "--json").json == before


def test_a_database_of_another_version_is_refused(archfront: Any, searched: str) -> None:
    with sqlite3.connect("archfront.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for words in (["search", "--study", searched, "--evaluations", 99], ["front", searched], ["studies"]):
        done = archfront(*words)
        assert done.code == 2 and "9999" in done.error


def test_ctrl_c_finishes_what_runs_and_the_study_goes_on(archfront: Any, tmp_path: Path) -> None:
    words = [
        *("search", "--study", "stopped", "--space", f"{COUNTING}:space", "--evaluator", f"{COUNTING}:Counting"),
        *("--set", "evaluator.pause=0.05", "--objective", "accuracy", "--objective", "latency:min"),
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "archfront", *words, "--evaluations", "1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=30)
    assert process.returncode == 0, error
    assert "ended: interrupted" in out
    counts = {row["study"]: row["evaluations"] for row in archfront("studies", "--json").json}
    wanted = counts["stopped"] + 5
    more = archfront("search", "--study", "stopped", "--evaluations", wanted, "--json").json
    assert more["evaluations_in_this_run"] == 5
    assert json.dumps(more["evaluations"]).count("running") == 0


def test_the_target_of_a_table_is_a_setting_of_the_data(archfront: Any, tmp_path: Path) -> None:
    from archfront.commands.search import wanted, with_target

    file = tmp_path / "houses.csv"
    file.write_text("area,price\n" + "".join(f"{i % 7},{i * 1.5}\n" for i in range(40)))
    options = with_target({"data": f"csv:{file}", "db": f"sqlite:///{tmp_path / 'x.db'}"}, "price")
    plan = wanted(None, options, ["data.kind=regression"]).order().plan
    assert plan.data == f"csv:{file}" and plan.data_settings == {"target": "price", "kind": "regression"}
    done = archfront("search", "--data", f"csv:{file}", "--target", "prise", "--evaluations", 2)
    assert done.code == 2 and "has no column 'prise' to be the target; did you mean 'price'?" in done.error
    done = archfront("search", "--data", f"csv:{file}", "--evaluations", 2)
    assert done.code == 2 and "--target COLUMN" in done.error
    to = tmp_path / "supernet"
    done = archfront("supernet", "train", "--data", f"csv:{file}", "--target", "prise", "--to", to)
    assert done.code == 2 and "did you mean 'price'?" in done.error

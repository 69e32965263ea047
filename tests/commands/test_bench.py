"""`archfront bench search`: its table, its JSON, its figures, and what it refuses in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_controller.py"


def options(table: Path) -> list[str]:
    """The command on the small table with two objectives."""
    return [
        *("bench", "search", "--space", f"table:{table}", "--decisions", "a,b,c", "--evaluator", f"table:{table}"),
        *("--objective", "score:max", "--objective", "time:min"),
    ]


def test_controllers_side_by_side(archfront: Any, table: Path) -> None:
    words = ["--controllers", "random,pareto-evolution+start=5", "--controllers", f"{EXAMPLE}:HillClimbing"]
    done = archfront(*options(table), *words, "--evaluations", 40, "--seeds", 3, "--where", "even")
    assert done.code == 0, done.error
    lines = done.out.splitlines()
    assert lines[0].startswith("hypervolume ratio, 3 seeds, 1 workers; 108 feasible candidates")
    assert [line.split()[0] for line in lines[2:5]] == ["random", "pareto-evolution+start=5", f"{EXAMPLE}:HillClimbing"]
    assert "at 10" in lines[1] and "at 40" in lines[1] and "98% after" in lines[1]
    assert lines[5].startswith("reference: score=")


def test_rows_that_repeat_are_refused_or_averaged(archfront: Any, table: Path) -> None:
    words = [*options(table), "--decisions", "a,b", "--controllers", "random", "--evaluations", 20, "--seeds", 2]
    refused = archfront(*words)
    assert refused.code == 2 and "repeats='mean'" in refused.error
    done = archfront(*words, "--repeats", "mean")
    assert done.code == 0 and "; 36 feasible candidates" in done.out, done.error


def test_json_says_all(archfront: Any, table: Path, tmp_path: Path) -> None:
    words = [*options(table), "--controllers", "random", "--evaluations", 30, "--seeds", 4, "--seconds", "time"]
    done = archfront(*words, "--workers", 5, "--reference", "time=9", "--to", tmp_path / "all.json", "--json")
    assert done.code == 0, done.error
    assert done.json == json.loads((tmp_path / "all.json").read_text())
    assert done.json["reference"]["time"] == 9 and done.json["workers"] == 5
    [standing] = done.json["controllers"]
    assert len(standing["runs"]) == 4 and len(standing["median"]) == len(done.json["evaluations"]) == 30
    assert sorted(standing["virtual_seconds"]) == standing["virtual_seconds"]


def test_one_objective_is_judged_by_regret(archfront: Any, table: Path, tmp_path: Path) -> None:
    words = [*options(table)[:-2], "--controllers", "random,regularized-evolution", "--evaluations", 60, "--at", "5,60"]
    done = archfront(*words, "--seeds", 2, "--constraint", "time<=9", "--to", tmp_path / "regret.html")
    assert done.code == 0, done.error
    assert done.out.startswith("regret, 2 seeds") and "at 5 " in done.out and "at 60" in done.out
    assert "regret in score" in (tmp_path / "regret.html").read_text()


def test_fidelities_and_marks_in_virtual_seconds(archfront: Any, table: Path, tmp_path: Path) -> None:
    words = [*options(table)[:-2], "--fidelity", "1/10=time", "--fidelity", "0.5=score", "--seconds", 10, "--seeds", 2]
    named = ["--controllers", "random,asha+of=random+fidelities=[0.1,0.5]", "--marks", "100,400"]
    done = archfront(*words, *named, "--to", tmp_path / "all.json")
    assert done.code == 0, done.error
    assert "at 100 s" in done.out and "at 400 s" in done.out and "as good as random after" in done.out
    kept = json.loads((tmp_path / "all.json").read_text())
    plain, halved = kept["controllers"]
    assert kept["virtual_seconds"][-1] == 400 and plain["evaluations"][-1] == 40 < halved["evaluations"][-1]
    refused = archfront(*words, "--controllers", "asha", "--marks", "100")
    assert refused.code == 2 and "no column stands for the fidelity 0.0625, only for 0.1, 0.5" in refused.error


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["--objective", "scoer:max"], "no numeric column 'scoer'; did you mean 'score'"),
        (["--seconds", "tim"], "no numeric column 'tim'; did you mean 'time'"),
        (["--controllers", "randon"], "no controller is named 'randon'; did you mean 'random'"),
        (["--controllers", "nsga2+size=3"], "has no setting 'size'"),
        (["--controllers", "nsga2+population=1"], "population >= 2"),
        (["--controllers", "random,random"], "names one twice"),
        (["--reference", "time"], "say COLUMN=VALUE"),
        (["--reference", "even=1"], "no objective is named so"),
        (["--controllers", "asha"], "say --fidelity SHARE=COLUMN"),
        (["--fidelity", "0.5"], "say SHARE=COLUMN"),
        (["--fidelity", "2=score"], "share below 1"),
        (["--fidelity", "0.5=scoer"], "no numeric column 'scoer'; did you mean 'score'"),
        (["--marks", "0,5"], "virtual seconds above 0"),
        (["--at", "50"], "between 1 and --evaluations 20"),
        (["--to", "x.pdf"], "must end in .html"),
        (["--to", "nowhere/x.html"], "no folder nowhere"),
        (["--evaluator", "training"], "needs a table"),
        (["--where", "od"], "no column 'od'"),
    ],
)
def test_wrong_use_is_one_line(archfront: Any, table: Path, words: list[str], cause: str) -> None:
    done = archfront(*options(table), "--evaluations", 20, "--seeds", 1, *words)
    assert done.code == 2 and cause in done.error and done.error.count("\n") == 1, done.error


def test_a_controller_that_takes_one_objective_says_so(archfront: Any, table: Path, tmp_path: Path) -> None:
    (tmp_path / "single.py").write_text(
        "from archfront.contracts import WrongUse\n"
        "from controllers import Controller\n\n\n"
        "class Single(Controller):\n"
        "    def __init__(self, space, objectives, constraints=(), seed=0):\n"
        "        super().__init__(space, objectives, constraints, seed)\n"
        "        if len(objectives) > 1:\n"
        "            raise WrongUse('Single takes one objective')\n\n"
        "    def propose(self, rng):\n"
        "        return self.proposal(self.space.sample(rng), 'random')\n"
    )
    words = ["--controllers", "single.py:Single", "--evaluations", 5, "--seeds", 1]
    refused = archfront(*options(table), *words)
    assert refused.code == 2 and refused.error == "error: Single takes one objective\n"
    assert archfront(*options(table)[:-2], *words).code == 0

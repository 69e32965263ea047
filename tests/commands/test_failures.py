"""What a search says, and its exit code, when it found nothing."""

from pathlib import Path
from typing import Any

import pytest

from archfront.commands.progress import status
from archfront.search import Budget, Progress

OWN = '''
from archfront.contracts import Evaluation, Metric, Status
from evaluators.base import Evaluator
from search_spaces.table import TableSpace

space = TableSpace("grid", ["a", "b"], [(i // 6, i % 6) for i in range(36)])


class Moody(Evaluator):
    """Ends as `end` says: one word for all candidates, or one after the other in turn."""

    name = "moody"

    def __init__(self, end="ok"):
        self.ends, self.count = end.split("+"), 0

    def metrics(self):
        return ("score", "size")

    def epochs(self, context):
        return 9

    def evaluate(self, proposal, context):
        self.count += 1
        end = self.ends[self.count % len(self.ends)]
        if end == "raise":
            raise ModuleNotFoundError("No module named 'fastnorm'")
        if end not in ("ok", "half"):
            return Evaluation(proposal, Status(end), "it was so")
        metrics = (Metric("size", 5.0), *([Metric("score", 1.0)] if end == "ok" else []))
        return Evaluation(proposal, metrics=metrics)
'''


@pytest.fixture
def moody(archfront: Any, tmp_path: Path) -> Any:
    (tmp_path / "own.py").write_text(OWN)
    common = ["search", "--space", "own.py:space", "--evaluator", "own.py:Moody", "--objective", "score:max"]

    def search(end: str, *words: Any) -> Any:
        more = ["--controller", "random", "--evaluations", 6, "--set", f"evaluator.end={end}"]
        return archfront(*common, *more, *words)

    return search


def test_every_evaluation_failed(moody: Any) -> None:
    done = moody("raise")
    assert done.code == 1
    assert done.error == (
        "error: none of the 6 evaluations succeeded: "
        "6 × failed: moody: ModuleNotFoundError: No module named 'fastnorm'\n"
    )
    assert "constraint" not in done.out and "next:" not in done.out
    again = moody("raise")
    assert again.code == 1 and "none of the 6 evaluations succeeded" in again.error, "nor did going on change that"


CURES = [
    ("timed_out", "give each more time: --set timeout_s=SECONDS"),
    ("out_of_memory", "take fewer --workers"),
    ("diverged", "a lower learning rate may help"),
    ("unsupported", "take another --space or --device"),
]


@pytest.mark.parametrize(("end", "cure"), CURES)
def test_the_cure_is_named(end: str, cure: str, moody: Any) -> None:
    done = moody(end)
    assert done.code == 1 and f"6 × {end}: it was so; {cure}" in done.error
    assert done.error.count("\n") == 1


def test_several_reasons_are_counted_and_constraints_are_one_of_them(moody: Any) -> None:
    done = moody("half+raise+timed_out+half+raise+raise", "--constraint", "size<=4")
    assert done.code == 1 and "none of the 6 evaluations succeeded: 3 × failed" in done.error
    assert "2 × infeasible: size<=4" in done.error


def test_json_comes_before_the_error(moody: Any) -> None:
    done = moody("raise", "--json")
    assert done.code == 1 and done.json["evaluations"] == {"failed": 6} and "none of the 6" in done.error


def test_constraints_are_blamed_where_they_ruled_all_out(moody: Any) -> None:
    done = moody("ok", "--constraint", "size<=4")
    assert (done.code, done.error) == (0, "")
    assert "no candidate kept all constraints; loosen them in a new study" in done.out


def test_what_lacks_an_objective_breaks_no_constraint(moody: Any) -> None:
    done = moody("half", "--constraint", "size<=9")
    assert done.code == 0 and "constraints" not in done.out
    assert "no candidate has figures of all objectives after a full evaluation" in done.out


def test_one_success_is_enough(moody: Any) -> None:
    done = moody("raise+ok")
    assert done.code == 0 and "next:" in done.out and "3 × failed" in done.out


def test_progress_tells_failures_from_constraints() -> None:
    progress = Progress(Budget(evaluations=9))
    progress.counts.update({"ok": 1, "infeasible": 2, "failed": 3})
    progress.reasons.update({"infeasible: size<=4": 2, "failed: x": 3})
    assert status(progress).endswith("3 failed, 2 infeasible")

"""`archfront finish` on a small study of the digits."""

from pathlib import Path
from typing import Any

import pytest

from archfront.study import open_study
from tests.finishing.conftest import SPACE, copy_of

OWN = '''
from archfront.finishing import Finisher, Product
from search_spaces.parts import part

@part("finisher", "same_for_tests", source="none")
class Same(Finisher):
    """Nothing is changed."""

    def finish(self, given):
        return Product(given.architecture, given.state, "nothing was changed")
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a study of two candidates lies, with its space."""
    from archfront.commands import run

    folder = tmp_path_factory.mktemp("study")
    (folder / "small.py").write_text(SPACE)
    words = ["search", "--space", f"{folder}/small.py:tree", "--data", "digits", "--study", "digits", "--json"]
    words += ["--objective", "accuracy", "--objective", "params", "--set", "evaluator.epochs=2", "--evaluations", "2"]
    assert run([*words, "--controller", "random", "--db", f"{folder}/s.db"]) == 0
    return folder


@pytest.fixture
def db(folder: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return copy_of(folder, tmp_path)


def test_fronts_and_hypervolumes_before_and_after(archfront: Any, db: Path) -> None:
    words = ("finish", "digits", "--with", "block_drop(blocks=1)", "--with", "static_int8", "--epochs", 1, "--db", db)
    done = archfront(*words, "--candidate", 0, "--json")
    assert done.code == 0 and done.error == ""
    found = done.json
    assert [(one["of"], one["number"]) for one in found["finished"]] == [(0, 2), (2, 3)]
    assert found["hypervolume"] >= found["hypervolume_before"] > 0
    study = open_study("digits", str(db))
    assert [point["candidate"] for point in found["front"]] == [point.number for point in study.front()]
    assert {point["candidate"] for point in found["front_before"]} <= {0, 1}
    assert 2 in {point["candidate"] for point in found["front"]}, "it is the smallest"
    again = archfront(*words, "--candidate", 0)
    assert again.code == 0 and "it was there already" in again.error
    assert "front before:" in again.out and "front after:" in again.out and "2 made, " in again.out
    shown = archfront("show", "digits", 3, "--db", db)
    line = "lineage: candidate 0, block_drop(epochs=1): candidate 2, static_int8: candidate 3"
    assert line in shown.out and "in 8 bits" in shown.out and "static_int8" in shown.out
    assert [one["number"] for one in archfront("show", "digits", 3, "--db", db, "--json").json["lineage"]] == [0, 2, 3]
    front = archfront("front", "digits", "--db", db)
    assert front.code == 0 and "front of" in front.out
    report = archfront("report", "digits", "--db", db)
    assert report.code == 0, report.error
    text = Path("digits.html").read_text()
    assert "candidate 2" in text and "block_drop" in text
    exported = archfront("export", "digits", "--candidate", 3, "--db", db)
    assert exported.code == 0 and "model.onnx" in exported.out
    refused = archfront("export", "digits", "--candidate", 3, "--format", "python", "--to", "other", "--db", db)
    assert refused.code == 2 and refused.error.count("\n") == 1 and "--format onnx" in refused.error


def test_some_that_cannot_be_finished_are_named(archfront: Any, db: Path) -> None:
    study = open_study("digits", str(db))
    depths = [max(len(stage["blocks"]) for stage in study.candidate(n).architecture["stages"]) for n in "01"]
    assert depths == [3, 2] or depths == [2, 3], "both are there for this seed"
    words = ("finish", "digits", "--with", "block_drop(blocks=2)", "--epochs", 0, "--db", db)
    both = archfront(*words, "--candidate", 0, "--candidate", 1)
    assert both.code == 0 and f"candidate {depths.index(2)}: nothing (block_drop: no stage" in both.out
    alone = archfront(*words, "--candidate", depths.index(2))
    assert alone.code == 2 and alone.out == "" and alone.error.count("\n") == 1
    assert alone.error.startswith("error: nothing was finished: block_drop(blocks=2, epochs=0) of candidate")


def test_a_finisher_from_a_file(archfront: Any, db: Path) -> None:
    Path("mine.py").write_text(OWN)
    done = archfront("finish", "digits", "--with", "mine.py:Same", "--candidate", 1, "--db", db, "--json")
    [one] = done.json["finished"]
    study = open_study("digits", str(db))
    assert one["said"] == "nothing was changed"
    assert study.candidate(str(one["number"])).values["accuracy"] == study.candidate("1").values["accuracy"]


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["finish", "digits", "--with", "block_dorp"], "did you mean 'block_drop'"),
        (["finish", "digits", "--with", "block_drop", "--candidate", "99"], "no candidate 99"),
        (["finish", "digit", "--with", "block_drop"], "did you mean 'digits'"),
        (["finish", "digits"], "--with"),
        (["finish", "digits", "--with", "static_int8", "--epochs", "3"], "none of static_int8 trains"),
        (["finish", "digits", "--with", "mine.py:Nothing"], "no file mine.py"),
        (["finish", "digits", "--with", "width_prune(multiple=64)", "--candidate", "0"], "no stage is wide enough"),
    ],
)
def test_wrong_use(words: list[str], cause: str, archfront: Any, db: Path) -> None:
    done = archfront(*words, "--db", db)
    assert done.code == 2 and done.out == "" and cause in done.error
    assert done.error.startswith("error: ") and done.error.count("\n") == 1


def test_a_study_without_weights(archfront: Any, searched: str) -> None:
    done = archfront("finish", searched, "--with", "block_drop")
    assert done.code == 2 and done.error.count("\n") == 1 and "trains" in done.error

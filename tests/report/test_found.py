"""What was found out about the data goes with the study: told at its start, in report, card and dashboard."""

import re
from pathlib import Path

import numpy as np
import pytest

from archfront.commands import run
from archfront.export.candidates import _described
from archfront.report import write_report
from archfront.report.confusion import Confusion, recalls
from archfront.study import open_study
from dashboard import pages


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of 90 pictures of one class and 9 of another, a test picture among the training ones."""
    folder = tmp_path_factory.mktemp("uneven")
    rng = np.random.default_rng(0)
    labels = np.array([0] * 90 + [1] * 9)
    images = rng.integers(0, 200, (99, 8, 8), dtype=np.uint8) + (55 * labels[:, None, None]).astype(np.uint8)
    np.savez(
        folder / "hats.npz",
        x_train=images,
        y_train=labels,
        x_test=images[[0, 95]],
        y_test=labels[[0, 95]],
        class_names=np.array(["head", "hat"]),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = ["--data", "hats.npz", "--epochs", "1", "--objective", "accuracy", "--evaluations", "1"]
        space = Path(__file__).resolve().parents[1] / "evaluators" / "small_space.py"
        assert run(["search", *words, "--space", f"{space}:space"]) == 0
    return folder


def test_it_is_shown_wherever_the_study_is(
    uneven: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(uneven)
    study = open_study("hats")
    unbalanced, leaked = study.data_found
    assert re.match(r"unbalanced: 'hat' has \d training examples, 'head' 7\d", unbalanced)
    assert leaked == "2 of 2 test pictures also occur in train"
    (uneven / "hats.npz").rename(tmp_path / "gone.npz")  # it is told without the data
    try:
        page = write_report(study, tmp_path / "report.html").read_text()
        assert leaked in page and "recall by class: hat" in page
        assert leaked in str(pages.study(study))
        assert leaked in _described(study.settings, None)["found out"]
        assert run(["show", "hats", "0"]) == 0
        assert "test data, balanced accuracy" in capsys.readouterr().out
    finally:
        (tmp_path / "gone.npz").rename(uneven / "hats.npz")


def test_it_is_said_when_a_search_begins(
    uneven: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(uneven)
    assert run(["search", "--study", "hats", "--evaluations", "2"]) == 0
    said = capsys.readouterr().out
    assert "note: 2 of 2 test pictures also occur in train" in said and "note: unbalanced: 'hat'" in said
    assert "data npz:hats.npz: 2 classes, 8×8 pixels" in said and "training 1 epoch of 1 step of 64 examples" in said


def test_recalls_name_the_class_that_was_missed_first() -> None:
    found = recalls(Confusion(("hat", "head", "never"), "test", ((0, 12, 0), (1, 9, 0), (0, 0, 0))))
    assert found == "test data, balanced accuracy 0.45, recall by class: hat 0% (0 of 12), head 90% (9 of 10)"

"""`archfront search --start`, `--weights`, `--pretrained`: from a study's weights to another data set's front."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save_file

from archfront.study import open_study

SPACE = """
from search_spaces import one_of
from search_spaces.blocks import Block, Conv3x3Stem
from search_spaces.topologies import Network, Stage, Timm

space = Network(Conv3x3Stem(1), (Stage(one_of(4, 6, 8), (Block("pool"),), None),))
both = one_of(Timm("test_resnet", resolution=one_of(1.0, 2.0)), space)
"""
SHORT = ("--epochs", 1, "--objective", "accuracy", "--objective", "params", "--set", "evaluator.batch_size=32")


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Coloured noise of four classes that differ in their mean, 12 by 12 pixels."""
    rng = np.random.default_rng(0)
    labels = np.arange(96) % 4
    pictures = rng.integers(0, 120, (96, 12, 12, 3)) + 40 * labels[:, None, None, None]
    names = np.array(["oak", "ash", "elm", "fir"])
    np.savez(tmp_path / "trees.npz", x_train=pictures.astype(np.uint8), y_train=labels, class_names=names)
    return f"npz:{tmp_path / 'trees.npz'}"


def searched(archfront: Any, *words: Any, space: str = "space") -> Any:
    Path("spaces.py").write_text(SPACE)
    done = archfront("search", "--space", f"spaces.py:{space}", *SHORT, *words)
    assert done.code == 0, done.error
    return open_study(words[words.index("--study") + 1], "sqlite:///archfront.db")


def test_a_study_begins_with_the_candidates_and_weights_of_another(archfront: Any, data: str) -> None:
    first = searched(archfront, "--data", "digits", "--study", "first", "--evaluations", 2)
    known = {row.digest for row in first.rows()}
    second = searched(archfront, "--data", data, "--study", "second", "--evaluations", 3, "--start", "study:first")
    rows = second.rows()
    assert {row.digest for row in rows[: len(known)]} == known and rows[0].origin == "given"
    found = {row.digest: second.candidate(row.digest).metrics for row in rows}
    protocols = {digest: next(m.provenance.protocol for m in found[digest] if m.name == "accuracy") for digest in found}
    assert all(("start=none" in text) == (digest not in known) for digest, text in protocols.items())
    assert all("start=" in text for text in protocols.values())
    assert second.settings["evaluator_settings"]["start"].endswith("first")
    # It goes on without being told again.
    assert archfront("search", "--study", "second", "--evaluations", 3).code == 0


def test_pretrained_weights_come_from_a_folder(archfront: Any, data: str) -> None:
    import timm

    Path("weights").mkdir()
    save_file(timm.create_model("test_resnet").state_dict(), "weights/test_resnet.safetensors")
    words = ("--data", data, "--study", "tuned", "--evaluations", 4, "--weights", "weights")
    study = searched(archfront, *words, space="both")
    for row in study.rows():
        candidate = study.candidate(row.digest)
        text = next(m.provenance.protocol for m in candidate.metrics if m.name == "accuracy")
        assert ("pretrained=none" in text) == ("network/timm" not in json.dumps(candidate.architecture))


def test_what_cannot_be_begun_with_is_said_in_one_line(archfront: Any, data: str, table: Path) -> None:
    Path("spaces.py").write_text(SPACE)
    Path("empty").mkdir()
    base = ["search", "--space", "spaces.py:space", "--data", data, *SHORT, "--evaluations", 1]
    for words, said in (
        (["--start", "study:nothing"], "nothing"),
        (["--start", "empty"], "no trained network"),
        (["--study", "one", "--start", "study:one"], "the study itself"),
        (["--weights", "empty"], "no networks of timm"),
        (["--weights", "absent"], "no such folder"),
        (["--start", "empty", "--weights", "empty"], "leave out one"),
        (["--evaluator", f"table:{table}", "--start", "empty"], "trains no candidates"),
    ):
        done = archfront(*base, *words)
        assert done.code == 2 and said in done.error and len(done.error.strip().splitlines()) == 1, done.error

"""A data set may be named by its path alone; where that says too little, the error says how to spell it."""

from pathlib import Path

import numpy as np
import pytest

from archfront.contracts import WrongUse
from evaluators.datasets import load
from evaluators.datasets.spelling import spelled

KNOWN = ("digits", "folder", "npz", "csv", "text", "audio", "masks", "torchvision")


def filled(root: Path, *files: str) -> Path:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


@pytest.mark.parametrize(
    ("files", "source"),
    [
        (("a/1.jpg", "b/2.PNG", "b/notes.txt"), "folder"),
        (("train/a/1.wav", "train/b/2.wav"), "audio"),
        (("a/1.txt", "b/2.txt"), "text"),
        (("images/1.png", "masks/1.png"), "masks"),
        (("train/images/1.png", "train/masks/1.png"), "masks"),
    ],
)
def test_a_folder_is_told_by_what_it_holds(files: tuple[str, ...], source: str, tmp_path: Path) -> None:
    root = filled(tmp_path / "data", *files)
    assert spelled(str(root), KNOWN) == f"{source}:{root}"


def test_files_by_their_ending_and_names_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(filled(tmp_path, "digits/a/1.jpg", "digits/b/2.jpg"))
    assert spelled("x.npz", KNOWN) == "npz:x.npz" and spelled("some/x.csv", KNOWN) == "csv:some/x.csv"
    assert spelled("digits", KNOWN) == "digits" and spelled("./digits", KNOWN) == "folder:./digits"
    for spec in ("npz:x.npz", "own.py:make", "torchvision:CIFAR10", "nothing"):
        assert spelled(spec, KNOWN) == spec
    np.savez(tmp_path / "spoken.npz", samples=np.zeros(3), offsets=np.zeros(2), labels=np.zeros(1))
    assert spelled("spoken.npz", KNOWN) == "audio:spoken.npz"


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ("one.wav", "one recording; give the folder that has those of each class: audio:FOLDER"),
        ("one.jpg", "one picture"),
        ("some/where", "no file or folder; say what it is: folder:PATH"),
        ("empty", "no pictures, .wav or .txt files"),
        ("model.bin", "can't be told what it holds; say what it is: folder:PATH"),
    ],
)
def test_what_says_too_little_is_answered_with_the_spellings(
    spec: str, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(filled(tmp_path, "one.wav", "model.bin"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(WrongUse, match=cause):
        spelled(spec, KNOWN)


def test_loading_takes_a_path_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (40, 8, 8), dtype=np.uint8), np.arange(40) % 2
    np.savez(tmp_path / "x.npz", x_train=images, y_train=labels)
    found = load(str(tmp_path / "x.npz"))
    assert found.name == f"npz:{tmp_path / 'x.npz'}" and found.train.size > 0

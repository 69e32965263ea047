"""Texts: running ones and those of classes, by bytes and by words."""

import json
import pydoc_data.topics
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archfront.contracts import WrongUse
from evaluators.datasets import DataSet, Split, describe, load
from evaluators.datasets.vocabulary import words_of
from evaluators.tasks import Classification, NextToken

PACKAGES = ("email", "json", "logging")


def prose() -> str:
    """Python's own help, 30,000 characters of it."""
    topics = pydoc_data.topics.topics
    return "\n\n".join(topics[name] for name in sorted(topics))[:30_000]


def written(folder: Path, text: str, name: str = "text.txt") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(text.encode())
    return folder / name


def by_class(root: Path, lines: bool) -> Path:
    """The lines of modules of Python's own packages, a class each."""
    library = Path(json.__file__).parents[1]
    for package in PACKAGES:
        code = (library / package / "__init__.py").read_text().splitlines()
        code = [line for line in code if line.strip()][:40]
        if lines:
            written(root, "\n".join(code), f"{package}.txt")
        for number, line in enumerate(() if lines else code):
            written(root / package, line.strip(), f"{number:02}.txt")
    return root


def text_of(data: DataSet, split: Split) -> list[str]:
    """The windows, each with the token that follows."""
    last = split.targets[:][:, -1:]
    joined = torch.cat([split.inputs[:], last], 1)
    return [bytes(row.tolist()).decode("utf-8", "replace") for row in joined]


def test_running_text_is_cut_into_windows_and_every_target_is_the_next_token(tmp_path: Path) -> None:
    text = prose()
    data = load(f"text:{written(tmp_path, text)}", length=32)
    assert data.inputs == (256, 32) and data.medium == "tokens" and data.space == "language"
    assert isinstance(data.task, NextToken) and data.outputs == 256 and data.task.gives(data.inputs) == (256, 32)
    for split in (data.train, data.validation, data.test):
        assert torch.equal(split.inputs[:][:, 1:], split.targets[:][:, :-1])
        assert split.targets.shape == split.inputs.shape
    assert data.prepared(data.train.inputs[:2]).dtype == torch.int64
    assert sum(data.task.frequencies) == data.train.size * 32
    assert "next-token prediction, 32 tokens of a vocabulary of 256" in describe(data)


def test_splits_of_a_running_text_do_not_overlap_and_are_whole_blocks(tmp_path: Path) -> None:
    text = " ".join(f"{number:06}" for number in range(4000))
    data = load(f"text:{written(tmp_path, text)}", length=32)
    raw, windows = text.encode(), len(text.encode()) // 33
    owner: dict[str, list[int]] = {}
    for name, split in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        owner[name] = [int(raw.find(window.encode())) // 33 for window in text_of(data, split)]
    sizes = {name: len(places) for name, places in owner.items()}
    assert sum(sizes.values()) == windows and set().union(*owner.values()) == set(range(windows))
    assert 0.15 < sizes["test"] / windows < 0.25 and 0.1 < sizes["validation"] / windows < 0.25
    for name in ("validation", "test"):
        places = sorted(owner[name])
        runs = 1 + sum(later - before > 1 for before, later in pairwise(places))
        assert runs <= 10, "validation and test are blocks, not windows here and there"
    again = load(f"text:{tmp_path / 'text.txt'}", length=32, seed=5)
    assert torch.equal(again.test.inputs[:], data.test.inputs[:]) and again.sha256 == data.sha256
    assert not torch.equal(again.validation.inputs[:1], data.validation.inputs[:1])


def test_words_are_the_most_frequent_ones(tmp_path: Path) -> None:
    data = load(f"text:{written(tmp_path, prose())}", length=16, tokens="word", vocabulary=100)
    assert data.inputs == (102, 16) and data.classes[:2] == ("<padding>", "<unknown>")
    words = words_of(prose())
    assert data.classes[2] == max(set(words), key=words.count) and len(set(data.classes)) == 102
    known = [data.classes[number] for number in data.train.inputs[0].tolist()]
    places = [
        start
        for start in range(len(words) - 15)
        if all(seen in (word, "<unknown>") for seen, word in zip(known, words[start : start + 16], strict=True))
    ]
    assert places, "the tokens spell a place of the text"


@pytest.mark.parametrize("lines", [True, False])
def test_texts_of_classes(tmp_path: Path, lines: bool) -> None:
    data = load(f"text:{by_class(tmp_path, lines)}", length=24)
    assert isinstance(data.task, Classification) and data.classes == PACKAGES
    assert data.inputs == (256, 24) and data.space == "sequence"
    total = data.train.size + data.validation.size + data.test.size
    assert total == 120 and data.task.frequencies == (26, 26, 26)
    row = bytes(data.train.inputs[0].tolist())
    assert row.rstrip(b"\0") in (tmp_path / "email.txt" if lines else tmp_path / "email" / "00.txt").read_bytes()
    assert "are longer than 24 tokens and are cut" in describe(data)


def test_the_splits_of_a_folder_are_kept(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        by_class(tmp_path / split, lines=True)
    data = load(f"text:{tmp_path}")
    assert (data.train.size, data.validation.size, data.test.size) == (120, 120, 120)
    running = load(f"text:{tmp_path}", kind="next-token", length=16)
    assert isinstance(running.task, NextToken) and running.train.size == running.test.size > 20


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        ("kurz", {}, "4 tokens for train are too short for 3 windows of 64"),
        ("", {}, "0 tokens for train are too short"),
        ("x" * 300, {"kind": "classification"}, "is one file; a classification needs a folder"),
        ("x" * 300, {"kind": "clasification"}, "kind can't be 'clasification'"),
        ("x" * 300, {"tokens": "letter"}, "tokens can't be 'letter'"),
        ("x" * 300, {"length": 1}, "a text needs two tokens"),
    ],
)
def test_wrong_texts_are_one_line(tmp_path: Path, content: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongUse, match=message) as raised:
        load(f"text:{written(tmp_path, content)}", **settings)
    assert "\n" not in str(raised.value)


def test_wrong_files_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("Grüße ".encode("latin-1") * 100)
    with pytest.raises(WrongUse, match=r"latin.txt isn't UTF-8 \(byte 2\); convert it"):
        load(f"text:{tmp_path / 'latin.txt'}")
    with pytest.raises(WrongUse, match="one text file only"):
        load(f"text:{tmp_path}")
    with pytest.raises(WrongUse, match="no file or folder"):
        load(f"text:{tmp_path / 'none'}")
    (tmp_path / "void" / "a").mkdir(parents=True)
    (tmp_path / "void" / "b").mkdir()
    with pytest.raises(WrongUse, match=r"void/a holds no texts \(.txt\)"):
        load(f"text:{tmp_path / 'void'}")
    written(tmp_path / "few", "one\ntwo", "a.txt")
    written(tmp_path / "few", "one\ntwo\nthree", "b.txt")
    with pytest.raises(WrongUse, match="fewer than 3 train texts of 'a'"):
        load(f"text:{tmp_path / 'few'}")


def test_bytes_of_another_alphabet_are_tokens_too(tmp_path: Path) -> None:
    text = "Übung macht den Meister, naïveté ne vaut rien. " * 30
    data = load(f"text:{written(tmp_path, text)}", length=16)
    assert int(np.asarray(data.train.inputs).max()) > 127

"""Text files as tokens: what follows next, or which class a text is of."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from archfront.contracts import WrongUse
from evaluators.datasets.arrays import DATASETS, Array, Arrays
from evaluators.datasets.class_files import SPLITS, class_files, read_text, split_folders
from evaluators.datasets.vocabulary import Vocabulary, bytes_vocabulary, words_of, words_vocabulary
from evaluators.tasks import Classification, NextToken

Kind = Literal["", "next-token", "classification"]
SUFFIXES = (".txt",)
BLOCKS = 40
"""Where splits are drawn from a running text, they are made of about so many blocks of it."""
Labelled = list[tuple[str, int]]


@dataclass(frozen=True)
class Reading:
    """How texts become tokens."""

    tokens: str
    vocabulary: int
    length: int

    def made(self, texts: list[str]) -> Vocabulary:
        """The vocabulary, of the texts to train on."""
        if self.tokens == "byte":
            return bytes_vocabulary()
        counts = Counter(word for text in texts for word in words_of(text))
        return words_vocabulary(counts, self.vocabulary)


@DATASETS.register("text")
def text(argument: str, tokens: str = "byte", vocabulary: int = 2000, length: int = 64, kind: Kind = "") -> Arrays:
    """`text:FILE` is running text, to predict each next token of; `text:FOLDER` has texts of several classes.

    The folder has a sub-folder of .txt files per class, each an example; or a .txt file per class, each line of it an
    example; both maybe below train, val and test folders. With `kind=next-token` the texts of all files are running
    text. Tokens are the bytes of UTF-8, or with `tokens=word` the `vocabulary` most frequent words and punctuation
    marks of the training texts (of the whole text where the splits are drawn from it), in lower case, and one token for
    all others. Running text is cut into windows of `length` tokens that don't overlap, and whole blocks of it become
    validation and test; other texts are padded or cut to `length`.
    """
    path = Path(argument).expanduser()
    if not path.exists():
        raise WrongUse(f"no file or folder {argument}; give a text file, or a folder of .txt files by class")
    if tokens not in ("byte", "word"):
        raise WrongUse(f"tokens can't be '{tokens}'; they are byte or word")
    if kind not in ("", "next-token", "classification"):
        raise WrongUse(f"kind can't be '{kind}'; it is next-token or classification")
    if length < 2 or vocabulary < 1:
        raise WrongUse(f"length={length} and vocabulary={vocabulary}: a text needs two tokens, of one word or more")
    reading = Reading(tokens, vocabulary, length)
    if path.is_file():
        if kind == "classification":
            raise WrongUse(f"{argument} is one file; a classification needs a folder with texts of each class")
        return _running(argument, {"train": [path]}, reading)
    if kind == "next-token":
        return _running(argument, _all_files(path), reading)
    classes, splits = _labelled(path)
    return _classification(argument, classes, splits, reading)


def _all_files(root: Path) -> dict[str, list[Path]]:
    found = {
        split: sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        for split, folder in split_folders(root).items()
    }
    for split, files in found.items():
        if not files:
            raise WrongUse(f"{root} holds no .txt files{'' if split == 'train' else f' for {split}'}")
    return found


def _running(name: str, files: dict[str, list[Path]], reading: Reading) -> Arrays:
    texts = {split: [read_text(path) for path in paths] for split, paths in files.items()}
    known = reading.made(texts["train"])
    pairs, groups = {}, np.zeros(0, dtype=np.int64)
    for split, members in texts.items():
        encoded = [known.encode(member) for member in members]
        windows = [_windows(member, reading.length) for member in encoded]
        least = 3 if len(texts) == 1 else 1
        if sum(map(len, windows)) < least:
            raise WrongUse(
                f"{name}: {sum(map(len, encoded)):,} tokens for {split} are too short for {least} windows of "
                f"{reading.length} and the next one; add text, or lower data.length"
            )
        if split == "train":
            groups = _blocks([len(part) for part in windows])
        joined = np.concatenate(windows)
        pairs[split] = joined[:, :-1], joined[:, 1:]
    size = len(known.tokens)
    return Arrays(
        pairs["train"],
        pairs.get("validation"),
        pairs.get("test"),
        task=NextToken(size, known.tokens),
        medium="tokens",
        inputs=(size, reading.length),
        space="language",
        groups=groups,
    )


def _windows(ids: Array, length: int) -> Array:
    """The text in windows (n, length + 1), each with the token that follows; what is left over is dropped."""
    count = len(ids) // (length + 1)
    return ids[: count * (length + 1)].reshape(count, length + 1)


def _blocks(counts: list[int]) -> Array:
    """The block of each window, where the files have so many: no block goes beyond a file."""
    size = max(1, sum(counts) // BLOCKS)
    found: list[Array] = []
    first = 0
    for count in filter(None, counts):
        found.append(first + np.arange(count) // size)
        first = int(found[-1][-1]) + 1
    return np.concatenate(found)


def _labelled(root: Path) -> tuple[tuple[str, ...], dict[str, Labelled]]:
    """The classes, and each split's texts with their classes."""
    folders = split_folders(root)
    train = folders["train"]
    lines = sorted(path for path in train.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not lines:
        classes, files = class_files(root, SUFFIXES, "texts")
        return classes, {split: [(read_text(path), label) for path, label in found] for split, found in files.items()}
    if len(lines) < 2:
        raise WrongUse(
            f"{root} has one text file only ({lines[0].name}); give one for each of at least two classes, or say "
            "--set data.kind=next-token"
        )
    names = [path.name for path in lines]
    for split, folder in folders.items():
        lacking = [name for name in names if not (folder / name).is_file()]
        if lacking:
            raise WrongUse(f"{folder} has no {lacking[0]}; each of {', '.join(SPLITS[split])} needs a file per class")
    found = {
        split: [(line, label) for label, name in enumerate(names) for line in _lines(folder / name)]
        for split, folder in folders.items()
    }
    return tuple(path.stem for path in lines), found


def _lines(file: Path) -> list[str]:
    """The lines that say something."""
    return [line.strip() for line in read_text(file).splitlines() if line.strip()]


def _classification(name: str, classes: tuple[str, ...], splits: dict[str, Labelled], reading: Reading) -> Arrays:
    for split, examples in splits.items():
        counts = Counter(label for _, label in examples)
        few = [classes[i] for i in range(len(classes)) if counts[i] < 3]
        if not examples or (few and split == "train"):
            raise WrongUse(f"{name}: fewer than 3 {split} texts of '{(few or classes)[0]}'; add some")
    known = reading.made([example for example, _ in splits["train"]])
    size, length = len(known.tokens), reading.length
    pairs, longer = {}, 0
    for split, examples in splits.items():
        encoded = [known.encode(example) for example, _ in examples]
        if split == "train":
            longer = sum(len(ids) > length for ids in encoded)
        rows = np.full((len(encoded), length), known.padding, dtype=encoded[0].dtype)
        for row, ids in zip(rows, encoded, strict=True):
            row[: len(ids)] = ids[:length]
        pairs[split] = rows, np.array([label for _, label in examples], dtype=np.int64)
    cut = f"{longer:,} of {len(splits['train']):,} training texts are longer than {length} tokens and are cut"
    return Arrays(
        pairs["train"],
        pairs.get("validation"),
        pairs.get("test"),
        task=Classification(len(classes), classes),
        medium="tokens",
        inputs=(size, length),
        space="sequence",
        problems=(cut,) if longer else (),
    )

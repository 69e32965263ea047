"""A data set as evaluators see it: three splits, the task, and what was found out about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from evaluators.datasets.preparation import Preparation
from evaluators.tasks import Task

Augmentation = Literal["none", "shift", "flip"]
"""What training may do to a picture without changing its class: nothing, shift it, or shift and mirror it."""
Medium = Literal["pictures", "spectrograms", "tokens", "tables"]
"""What examples are, as networks take them: float maps (channels, height, width), maps (1, bands, frames), integers
(length,) or numbers (columns,)."""
UNEVEN = "unbalanced"
SHOWN = 1000
"""Of more classes than this, and of tokens, nothing is said about how even they are."""


class Rows(Protocol):
    """Examples that are taken by their numbers: a tensor in memory, or a file that is read from (`Mapped`)."""

    @property
    def shape(self) -> Any:
        """(n, ...), as of a tensor."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """The type of the values."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: Any) -> Tensor:
        """Those of a slice, or of an integer tensor on the CPU, as a tensor."""
        ...


class Split(NamedTuple):
    """Raw inputs (n, ...), as the preparation takes them, and targets (n, ...), as the task does."""

    inputs: Rows
    targets: Rows

    @property
    def size(self) -> int:
        """The number of examples."""
        return len(self.targets)


@dataclass(frozen=True)
class DataSet:
    """Examples for a task.

    `inputs` is the shape of one example as a network takes it, channels first; of tokens it is (vocabulary, length):
    the tensors are then int64 (batch, length), as if each were a map of `vocabulary` channels. `preparation` makes
    that of raw inputs. `validation` is drawn from the training examples (or was given) and selects; `test` is for the
    report alone. `sha256` is that of all examples and targets. `space` is the ready space that suits. `problems` are
    lines on what was found wrong but could be worked around.
    """

    name: str
    task: Task
    inputs: tuple[int, ...]
    train: Split
    validation: Split
    test: Split
    preparation: Preparation
    sha256: str
    medium: Medium = "pictures"
    space: str = "hybrid"
    augmentation: Augmentation = "none"
    problems: tuple[str, ...] = ()

    @property
    def outputs(self) -> int:
        """The width of a network's head."""
        return self.task.outputs

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, where there are any."""
        return self.task.classes

    def prepared(self, raw: Tensor) -> Tensor:
        """Raw inputs (batch, ...) as a network takes them."""
        with torch.no_grad():
            return self.preparation(raw)

    @property
    def in_memory(self) -> bool:
        """Whether all training examples are held in memory."""
        return isinstance(self.train.inputs, Tensor)


def describe(dataset: DataSet) -> str:
    """A line on the data set (task, sizes, splits, augmentation, hash), then one for each thing found out about it.

    That is what `problems` has, and how uneven the classes are.
    """
    augmentation = {"none": "none", "shift": "shifts", "flip": "shifts and mirroring"}[dataset.augmentation]
    said = [
        f"{dataset.train.size:,} train, {dataset.validation.size:,} validation, {dataset.test.size:,} test examples",
        *([even] if (even := _balance(dataset.task)) and not even.startswith(UNEVEN) else []),
        *([f"augmentation: {augmentation}"] if dataset.medium == "pictures" else []),
    ]
    size = f"{dataset.name}: {dataset.task.describe()}, {_size(dataset)}"
    return "\n".join([f"{size}; {'; '.join(said)}; sha256 {dataset.sha256[:12]}", *found_out(dataset)])


def found_out(dataset: DataSet) -> tuple[str, ...]:
    """What a user should know of the data, a line each: how uneven the classes are, and the problems found."""
    balance = _balance(dataset.task)
    return ((balance,) if balance.startswith(UNEVEN) else ()) + dataset.problems


def _size(dataset: DataSet) -> str:
    """How large an example is."""
    if dataset.medium == "tokens":
        return f"{dataset.inputs[1]} tokens of a vocabulary of {dataset.inputs[0]:,}"
    if dataset.medium == "tables":
        return f"{dataset.inputs[0]} columns"
    channels, height, width = dataset.inputs
    if dataset.medium == "spectrograms":
        return f"{height} mel bands × {width} frames"
    return f"{height}×{width} pixels, {channels} channel{'s' if channels > 1 else ''}"


def _balance(task: Task) -> str:
    """How even the classes are; empty where there are none, or they were not counted."""
    counts = task.frequencies
    if not counts or len(counts) > SHOWN or task.counted == "tokens":
        return ""
    rarest, commonest = min(range(len(counts)), key=counts.__getitem__), max(range(len(counts)), key=counts.__getitem__)
    what = task.counted
    if uneven(counts):
        return (
            f"{UNEVEN}: '{task.classes[rarest]}' has {counts[rarest]:,} training {what}, "
            f"'{task.classes[commonest]}' {counts[commonest]:,}"
        )
    return f"balanced, {counts[rarest]:,} to {counts[commonest]:,} training {what} a class"


def uneven(counts: Sequence[int]) -> bool:
    """Whether classes differ so much in size that accuracy alone says too little of the small ones."""
    return max(counts) > 1.5 * min(counts)

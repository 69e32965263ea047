"""Data sets of each kind that recipes meet, small and made up."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch

from evaluators.datasets import DataSet, Split
from evaluators.datasets.dataset import Medium
from evaluators.datasets.preparation import Ids, Normalization, Preparation
from evaluators.tasks import Task
from evaluators.tasks.classification import Classification, ClassTally


@dataclass(frozen=True)
class Masks(Task):
    """A class for each pixel."""

    name: ClassVar[str] = "masks"
    measures: ClassVar[tuple[str, ...]] = ("accuracy",)

    def gives(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        return (self.outputs, *inputs[1:])

    def tally(self) -> ClassTally:
        return ClassTally(self.outputs)


@dataclass(frozen=True)
class Several(Classification):
    """Any of the classes at once."""

    kind: ClassVar[Any] = "binary"


@dataclass(frozen=True)
class Numbers(Classification):
    """Regression."""

    kind: ClassVar[Any] = "numeric"


def data(
    inputs: tuple[int, ...] = (3, 8, 8), task: Task | None = None, medium: Medium = "pictures", bytes: bool = True
) -> DataSet:
    """Random examples, of bytes as pictures usually are."""
    draw = torch.Generator().manual_seed(0)
    task = task or Classification(4, ("a", "b", "c", "d"), (12, 12, 12, 12))
    examples = torch.randint(0, 256, (48, *inputs), generator=draw, dtype=torch.uint8)
    targets = torch.arange(48) % task.outputs
    split = Split(examples if bytes else examples.float() / 255, targets)
    prepared: Preparation = Normalization([0.5] * inputs[0], [0.25] * inputs[0], 255.0 if bytes else 1.0)
    if medium == "tokens":
        prepared = Ids()
    return DataSet("made up", task, inputs, split, split, split, prepared, "0" * 64, medium)


PICTURES = data()
GREY = data((1, 8, 8), bytes=False)
MASKS = data(task=Masks(4, ("a", "b", "c", "d")))
SPECTROGRAMS = data((1, 40, 60), medium="spectrograms")
TABLE = replace(data((5, 1, 1)), inputs=(5,), medium="tables")
TOKENS = data((20, 16), medium="tokens")
SEVERAL = data(task=Several(4, ("a", "b", "c", "d")))
NUMBERS = data(task=Numbers(4))


def draw(seed: int = 0) -> torch.Generator:
    """A generator."""
    return torch.Generator().manual_seed(seed)

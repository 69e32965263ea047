"""Classification: one of several classes for an example, be it a picture, a sequence or a row of a table."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from archfront.contracts import Metric, Provenance
from evaluators.intervals import accuracy
from evaluators.tasks.task import IGNORED, Tally, Task


class ClassTally(Tally):
    """Counts of the classes found for those wanted, and the summed cross-entropy."""

    confusion: Tensor

    def __init__(self, classes: int) -> None:
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64)
        self._loss = 0.0

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        targets = targets.long()
        self._loss += float(functional.cross_entropy(outputs, targets, reduction="sum"))
        known = targets != IGNORED
        pairs = targets[known] * len(self.confusion) + outputs.argmax(1)[known]
        self.confusion += torch.bincount(pairs, minlength=self.confusion.numel()).view_as(self.confusion).cpu()

    @property
    def total(self) -> int:
        """The examples that count."""
        return int(self.confusion.sum())

    @property
    def correct(self) -> int:
        """Those that were classified correctly."""
        return int(self.confusion.trace())

    @property
    def loss(self) -> float:
        """The mean cross-entropy."""
        return self._loss / max(1, self.total)

    @property
    def recalls(self) -> Tensor:
        """Of each class that occurs, the share that was found."""
        counts = self.confusion.sum(1)
        return (self.confusion.diagonal() / counts)[counts > 0].double()

    def metrics(self, provenance: Provenance, prefix: str = "") -> list[Metric]:
        recalls = self.recalls
        counts = self.confusion.sum(1)[self.confusion.sum(1) > 0]
        balanced = float(recalls.mean())
        # The mean of independent proportions, each with Laplace's correction, since a recall of 1 isn't certain either.
        smoothed = (recalls * counts + 1) / (counts + 2)
        half = 1.96 * float((smoothed * (1 - smoothed) / counts).sum().sqrt()) / len(recalls)
        return [
            accuracy(f"{prefix}accuracy", self.correct, self.total, provenance),
            Metric(
                f"{prefix}balanced_accuracy",
                balanced,
                "fraction",
                low=max(0.0, balanced - half),
                high=min(1.0, balanced + half),
                provenance=provenance,
            ),
            Metric(f"{prefix}loss", self.loss, "nats", provenance=provenance),
        ]


@dataclass(frozen=True)
class Classification(Task):
    """One of `classes` for each example; targets are integers (n,)."""

    name: ClassVar[str] = "classification"
    measures: ClassVar[tuple[str, ...]] = ("accuracy", "balanced_accuracy", "loss")

    def tally(self) -> ClassTally:
        return ClassTally(self.outputs)

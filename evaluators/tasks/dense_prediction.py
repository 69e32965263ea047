"""Dense prediction: a class for every pixel of a picture (semantic segmentation)."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from archfront.contracts import Metric, Provenance
from evaluators.intervals import averaged, bootstrap
from evaluators.tasks.task import IGNORED, Shape, Tally, Task


class PixelTally(Tally):
    """Counts of the classes found for those wanted, over all pixels and, for intervals, by picture."""

    confusion: Tensor

    def __init__(self, classes: int) -> None:
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64)
        self._loss = 0.0
        self._pictures: list[Tensor] = []

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        classes = len(self.confusion)
        self._loss += float(functional.cross_entropy(outputs, targets, reduction="sum"))
        found, known = outputs.argmax(1), targets != IGNORED
        pairs = targets[known] * classes + found[known]
        self.confusion += torch.bincount(pairs, minlength=classes * classes).view(classes, classes).cpu()
        picture = torch.arange(len(targets), device=targets.device).view(-1, *[1] * (targets.ndim - 1))

        def counted(values: Tensor, where: Tensor) -> Tensor:
            places = (values + picture * classes)[where]
            return torch.bincount(places, minlength=len(targets) * classes).view(-1, classes).cpu()

        right = counted(found, known & (found == targets))
        self._pictures.append(torch.stack([right, counted(found, known), counted(targets, known)]))

    @property
    def loss(self) -> float:
        """The mean cross-entropy of a pixel."""
        return self._loss / max(1, int(self.confusion.sum()))

    def metrics(self, provenance: Provenance, prefix: str = "") -> list[Metric]:
        right, found, wanted = torch.cat(self._pictures, 1).double().numpy()
        unions = found + wanted - right
        miou, low, high = bootstrap(lambda counts: _miou(counts @ right, counts @ unions), len(right))
        return [
            Metric(f"{prefix}miou", miou, "fraction", low=low, high=high, provenance=provenance),
            averaged(f"{prefix}pixel_accuracy", right.sum(1), wanted.sum(1), provenance, "fraction"),
            Metric(f"{prefix}loss", self.loss, "nats", provenance=provenance),
        ]


def _miou(intersections: Any, unions: Any) -> Any:
    """Intersections over unions, meant over the last dimension: over the classes that occur or were found."""
    return (intersections / np.maximum(unions, 1)).sum(-1) / np.maximum((unions > 0).sum(-1), 1)


@dataclass(frozen=True)
class DensePrediction(Task):
    """One of `classes` for each pixel; targets are integers (n, height, width), `IGNORED` where a pixel is unlabelled.

    What covers few pixels counts as much as what covers many (mIoU), so losses weigh classes unless a recipe says
    otherwise.
    """

    name: ClassVar[str] = "dense prediction"
    measures: ClassVar[tuple[str, ...]] = ("miou", "pixel_accuracy", "loss")
    balance: ClassVar[float] = 0.5
    # Each place is an example; so many pictures are enough for a step, and larger ones wouldn't fit.
    batch_size: ClassVar[int] = 16
    counted: ClassVar[str] = "pixels"
    needs: ClassVar[str] = "take a head that gives a map of the picture's size, as those of the space 'dense'"

    def gives(self, inputs: Shape) -> Shape:
        return (self.outputs, *inputs[1:])

    def tally(self) -> PixelTally:
        return PixelTally(self.outputs)

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0, balance: float = 0.0) -> Tensor:
        if not targets.is_floating_point() and not bool((targets != IGNORED).any()):
            # No pixel of the batch is labelled: the mean over none would be no number.
            return outputs.sum() * 0.0
        return super().loss(outputs, targets, smoothing, balance)

    def describe(self) -> str:
        return f"segmentation into {self.outputs} classes"

    @property
    def readable(self) -> str:
        return "probabilities of the classes, for every pixel"

"""Several labels for an example: each class is there or not, by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from archfront.contracts import Metric, Provenance, WrongUse
from evaluators.intervals import RESAMPLES, bootstrap
from evaluators.tasks.task import Kind, Tally, Task

BOOTSTRAPPED = 20_000_000
"""Beyond so many values to sort (resamples × examples × classes), average precision gets no interval: it takes long."""


class LabelTally(Tally):
    """All outputs and targets, since average precision ranks all examples."""

    def __init__(self) -> None:
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        self._outputs.append(outputs.float().cpu())
        self._targets.append(targets.float().cpu())

    def metrics(self, provenance: Provenance, prefix: str = "") -> list[Metric]:
        """Averages are over the classes that occur: of the others nothing can be found."""
        outputs, targets = torch.cat(self._outputs), torch.cat(self._targets)
        loss = float(functional.binary_cross_entropy_with_logits(outputs, targets))
        occurs = targets.sum(0) > 0
        scores, wanted = outputs[:, occurs].double().numpy(), targets[:, occurs].numpy() > 0.5
        precision, precision_bounds = _mean_average_precision(scores, wanted)
        f1, f1_bounds = _f1(scores > 0, wanted)
        return [
            _fraction(f"{prefix}mean_average_precision", precision, precision_bounds, provenance),
            _fraction(f"{prefix}f1", f1, f1_bounds, provenance),
            Metric(f"{prefix}loss", loss, "nats", provenance=provenance),
        ]


def _fraction(name: str, value: float, bounds: tuple[float, float] | None, provenance: Provenance) -> Metric:
    low, high = bounds or (None, None)
    return Metric(name, value, "fraction", low=low, high=high, provenance=provenance)


def _mean_average_precision(scores: Any, wanted: Any) -> tuple[float, tuple[float, float] | None]:
    """The average precision, meant over the classes (columns), and its interval."""
    if not wanted.size:
        return 0.0, None
    from sklearn.metrics import average_precision_score

    value = float(np.mean(average_precision_score(wanted, scores, average=None)))
    orders = np.argsort(-scores, axis=0, kind="stable")

    def resampled(counts: Any) -> Any:
        total = np.zeros(len(counts))
        for column, order in enumerate(orders.T):
            found = np.cumsum(counts[:, order] * wanted[order, column], axis=1)
            precision = found / np.maximum(np.cumsum(counts[:, order], axis=1), 1)
            gains = counts[:, order] * wanted[order, column]
            total += (precision * gains).sum(1) / np.maximum(gains.sum(1), 1)
        return total / wanted.shape[1]

    return value, bootstrap(resampled, len(scores)) if wanted.size * RESAMPLES <= BOOTSTRAPPED else None


def _f1(found: Any, wanted: Any) -> tuple[float, tuple[float, float] | None]:
    """The harmonic mean of precision and recall, meant over the classes (columns), and its interval."""
    if not wanted.size:
        return 0.0, None
    right, sizes = (found & wanted).astype(np.float64), found.astype(np.float64) + wanted

    def resampled(counts: Any) -> Any:
        return (2 * (counts @ right) / np.maximum(counts @ sizes, 1)).mean(1)

    return float(resampled(np.ones((1, len(wanted))))[0]), bootstrap(resampled, len(wanted))


@dataclass(frozen=True)
class MultiLabel(Task):
    """Any number of `classes` for each example; targets are 0 or 1, (n, outputs)."""

    name: ClassVar[str] = "multi-label classification"
    kind: ClassVar[Kind] = "binary"
    measures: ClassVar[tuple[str, ...]] = ("mean_average_precision", "f1", "loss")

    def tally(self) -> LabelTally:
        return LabelTally()

    def describe(self) -> str:
        return f"{self.outputs} labels, any number of them at once"

    def fitted(self, targets: Any) -> Self:
        if self.frequencies:
            return self
        return replace(self, frequencies=tuple(int(count) for count in np.asarray(targets).sum(0)))

    def check_targets(self, targets: Sequence[Any]) -> None:
        for held in map(np.asarray, targets):
            if held.ndim != 2 or held.shape[1] != self.outputs:
                raise WrongUse(f"targets of shape {held.shape}; {self.name} needs (n, {self.outputs})")
            wrong = held[(held != 0) & (held != 1)]
            if wrong.size:
                raise WrongUse(f"{wrong.size:,} labels are neither 0 nor 1, as {wrong[0]:g}; 1 says that it occurs")

"""Several labels for an example: each class is there or not, by itself."""

from collections.abc import Callable, Sequence
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
"""Beyond so many values (resamples × examples × classes) figures get no interval: it would take seconds."""


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
        return [
            _fraction(f"{prefix}mean_average_precision", _mean_average_precision(scores, wanted), wanted, provenance),
            _fraction(f"{prefix}f1", _f1(scores > 0, wanted), wanted, provenance),
            Metric(f"{prefix}loss", loss, "nats", provenance=provenance),
        ]


Statistic = Callable[[Any], Any]
"""From how often each example counts (resamples, examples) to the figures (resamples,)."""


def _fraction(name: str, statistic: Statistic, wanted: Any, provenance: Provenance) -> Metric:
    if not wanted.size:
        return Metric(name, 0.0, "fraction", provenance=provenance)
    if wanted.size * RESAMPLES > BOOTSTRAPPED:
        return Metric(name, float(statistic(np.ones((1, len(wanted))))[0]), "fraction", provenance=provenance)
    value, low, high = bootstrap(statistic, len(wanted))
    return Metric(name, value, "fraction", low=low, high=high, provenance=provenance)


def _mean_average_precision(scores: Any, wanted: Any) -> Statistic:
    """The average precision of each class (column), meant over them: precision where recall rises, by how much.

    Equal scores are one threshold.
    """
    orders = np.argsort(-scores, axis=0, kind="stable")

    def resampled(counts: Any) -> Any:
        total = np.zeros(len(counts))
        for column, order in enumerate(orders.T):
            ranked = -scores[order, column]
            last = np.searchsorted(ranked, ranked, side="right") - 1
            drawn = counts[:, order]
            gains = drawn * wanted[order, column]
            precision = np.cumsum(gains, axis=1)[:, last] / np.maximum(np.cumsum(drawn, axis=1)[:, last], 1)
            total += (precision * gains).sum(1) / np.maximum(gains.sum(1), 1)
        return total / wanted.shape[1]

    return resampled


def _f1(found: Any, wanted: Any) -> Statistic:
    """The harmonic mean of precision and recall of each class (column), meant over them."""
    right, sizes = (found & wanted).astype(np.float64), found.astype(np.float64) + wanted
    return lambda counts: (2 * (counts @ right) / np.maximum(counts @ sizes, 1)).mean(1)


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

"""Regression: one number or several for an example."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from archfront.contracts import Metric, Provenance, WrongUse
from evaluators.intervals import averaged
from evaluators.tasks.task import Kind, Tally, Task


class Unstandardized(nn.Module):
    """Outputs (batch, outputs) in the targets' units: x std + mean."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.std.to(x) + self.mean.to(x)


class NumberTally(Tally):
    """All outputs and targets, standardized; the figures are in the targets' units."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self._mean, self._std = np.array(mean), np.array(std)
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        self._outputs.append(outputs.double().cpu())
        self._targets.append(targets.double().cpu())

    def metrics(self, provenance: Provenance, prefix: str = "") -> list[Metric]:
        """Of several targets, the figures are meant over them."""
        outputs, targets = torch.cat(self._outputs).numpy(), torch.cat(self._targets).numpy()
        apart = outputs - targets
        errors, ones = apart * self._std, np.ones(len(apart))
        return [
            averaged(f"{prefix}mae", np.abs(errors).mean(1), ones, provenance),
            averaged(f"{prefix}mse", (errors**2).mean(1), ones, provenance),
            Metric(f"{prefix}r2", _r2(apart, targets), provenance=provenance),
            Metric(f"{prefix}loss", float((apart**2).mean()), provenance=provenance),
        ]


def _r2(apart: Any, targets: Any) -> float:
    """The coefficient of determination, meant over the targets; of one that doesn't vary it is 1 or 0."""
    rest, whole = (apart**2).sum(0), ((targets - targets.mean(0)) ** 2).sum(0)
    constant = np.where(rest == 0, 1.0, 0.0)
    return float(np.where(whole > 0, 1 - rest / np.where(whole > 0, whole, 1), constant).mean())


@dataclass(frozen=True)
class Regression(Task):
    """A number for each of `outputs` targets, floats (n, outputs).

    Networks learn the targets standardized by `mean` and `std`, those of the training examples; figures, and what
    `reading` gives, are in the targets' units. `columns` are the targets' names.
    """

    columns: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    name: ClassVar[str] = "regression"
    kind: ClassVar[Kind] = "numeric"
    measures: ClassVar[tuple[str, ...]] = ("mae", "mse", "r2", "loss")

    @property
    def _means(self) -> tuple[float, ...]:
        return self.mean or (0.0,) * self.outputs

    @property
    def _stds(self) -> tuple[float, ...]:
        return self.std or (1.0,) * self.outputs

    def tally(self) -> NumberTally:
        return NumberTally(self._means, self._stds)

    def targets(self, held: Tensor) -> Tensor:
        mean, std = (torch.tensor(values, dtype=torch.float64) for values in (self._means, self._stds))
        return ((held.double() - mean.to(held.device)) / std.to(held.device)).float()

    def reading(self) -> nn.Module:
        return Unstandardized(self._means, self._stds)

    @property
    def readable(self) -> str:
        return f"values of {', '.join(self.columns)}" if self.columns else "values in the targets' units"

    def describe(self) -> str:
        return f"{self.name} of {', '.join(self.columns) or f'{self.outputs} numbers'}"

    def fitted(self, targets: Any) -> Self:
        if self.mean:
            return self
        held = np.asarray(targets, dtype=np.float64)
        return replace(self, mean=tuple(held.mean(0).tolist()), std=tuple(held.std(0).tolist()))

    def check_targets(self, targets: Sequence[Any]) -> None:
        for held in (np.asarray(part, dtype=np.float64) for part in targets):
            if held.ndim != 2 or held.shape[1] != self.outputs:
                raise WrongUse(f"targets of shape {held.shape}; {self.name} needs (n, {self.outputs})")
            unknown = int((~np.isfinite(held)).sum())
            if unknown:
                raise WrongUse(f"{unknown:,} targets are missing or not finite; leave these examples out")
        train = np.asarray(targets[0], dtype=np.float64)
        constant = [i for i in range(self.outputs) if np.ptp(train[:, i]) == 0]
        if constant:
            name = self.columns[constant[0]] if self.columns else f"number {constant[0]}"
            raise WrongUse(f"the target '{name}' is {train[0, constant[0]]:g} everywhere; there is nothing to learn")

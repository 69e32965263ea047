"""Columns of a table as networks take them: standardized, without gaps, categories one by one."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from evaluators.datasets.arrays import Array
from evaluators.datasets.preparation import Preparation

LEAST = 1e-12
"""A column whose deviation is smaller, as a share of its mean, is constant; it becomes zeros."""


class Columns(Preparation):
    """Raw rows (n, columns), NaN where a value is missing, as float32 (n, width).

    First the columns of numbers: (x - mean) / std, 0 where a value is missing. Then, for those that have gaps in the
    training rows, 1 where a value is missing and else 0. Then, for each category of the others, 1 where the row is of
    it; of an unknown or missing one all are 0.
    """

    numbers: Tensor
    mean: Tensor
    std: Tensor
    gaps: Tensor
    of_category: Tensor
    category: Tensor

    def __init__(
        self,
        numbers: Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        gaps: Sequence[int],
        categories: Mapping[int, int],
    ) -> None:
        super().__init__()
        self.register_buffer("numbers", torch.tensor(list(numbers), dtype=torch.int64))
        self.register_buffer("mean", torch.tensor(list(mean), dtype=torch.float32))
        self.register_buffer("std", torch.tensor(list(std), dtype=torch.float32))
        self.register_buffer("gaps", torch.tensor(list(gaps), dtype=torch.int64))
        pairs = [(column, value) for column, count in categories.items() for value in range(count)]
        self.register_buffer("of_category", torch.tensor([column for column, _ in pairs], dtype=torch.int64))
        self.register_buffer("category", torch.tensor([float(value) for _, value in pairs]))

    def forward(self, x: Tensor) -> Tensor:
        values = x.float()
        found = []
        if len(self.numbers):
            numbers = values.index_select(1, self.numbers.to(x.device))
            scaled = (numbers - self.mean.to(x.device)) / self.std.to(x.device)
            found.append(torch.where(torch.isnan(numbers), torch.zeros_like(scaled), scaled))
        if len(self.gaps):
            found.append(torch.isnan(values.index_select(1, self.gaps.to(x.device))).float())
        if len(self.category):
            found.append((values.index_select(1, self.of_category.to(x.device)) == self.category.to(x.device)).float())
        return torch.cat(found, 1)

    def describe(self) -> str:
        said = [f"{len(self.numbers)} columns of numbers (x - mean) / std, 0 where missing"]
        if len(self.gaps):
            said.append(f"{len(self.gaps)} columns that are 1 where a value is missing")
        if len(self.category):
            said.append(f"{len(self.category)} columns that are 1 for a category")
        return ", then ".join(said)


def standardized_columns(train: Array, categories: Mapping[int, int] | None = None) -> Columns:
    """The preparation of a table by its raw training rows; `categories` has the number of them by column."""
    categories = categories or {}
    numbers = [column for column in range(train.shape[1]) if column not in categories]
    values = train[:, numbers].astype(np.float64)
    missing = np.isnan(values)
    counts = np.maximum((~missing).sum(0), 1)
    mean = np.where(missing, 0, values).sum(0) / counts
    std = np.sqrt((np.where(missing, 0, values - mean) ** 2).sum(0) / counts)
    std = np.where(std > LEAST * np.maximum(np.abs(mean), 1), std, 1.0)
    gaps = [numbers[place] for place in np.flatnonzero(missing.sum(0))]
    return Columns(numbers, mean.tolist(), std.tolist(), gaps, dict(categories))

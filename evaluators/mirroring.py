"""Whether pictures may be mirrored: a digit or a hand's sign may not, a flower may."""

from math import sqrt

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.datasets import DataSet, Split
from evaluators.tasks import Classification

EXAMPLES, JUDGED = 2000, 1000
"""So many training pictures are fitted, and so many validation pictures judged, at most."""
SIDE = 16
"""Pictures are made so small, where they are larger."""
RIDGE = 0.3
"""The penalty, as a share of the mean square of the pictures."""
KEPT = 0.75
"""Mirroring suits where it leaves so much of what is right beyond the commonest class's share."""


def may_mirror(data: DataSet) -> bool:
    """Whether mirrored pictures still look like their class, by a ridge regression on small ones.

    It is fitted to training pictures and judged on validation pictures as they are and mirrored. Mirroring is held to
    be wrong where that costs more than a quarter of what is right above the commonest class's share, and more than
    twice the standard error. Takes about a second of a processor. What is no picture of one class stays unjudged: True
    where the data set itself suits mirroring.
    """
    if data.augmentation != "flip":
        return False
    if type(data.task) is not Classification:
        return True
    generator = torch.Generator().manual_seed(0)
    inputs, targets = _small(data, data.train, EXAMPLES, generator)
    seen, classes = _small(data, data.validation, JUDGED, generator)
    wanted = functional.one_hot(targets, data.outputs).double()
    mean, prior = inputs.flatten(1).mean(0), wanted.mean(0)
    fitted = inputs.flatten(1) - mean
    kernel = fitted @ fitted.T
    kernel.diagonal().add_(RIDGE * kernel.diagonal().mean().clamp(min=1e-6))
    weights = fitted.T @ torch.linalg.solve(kernel, wanted - prior)
    plain, mirrored = (
        (((x.flatten(1) - mean) @ weights + prior).argmax(1) == classes).double() for x in (seen, seen.flip(3))
    )
    lost = float((plain - mirrored).mean())
    error = float((plain - mirrored).std()) / sqrt(len(classes)) if len(classes) > 1 else 1.0
    return lost <= (1 - KEPT) * max(0.0, float(plain.mean() - prior.max())) or lost <= 2 * error


def _small(data: DataSet, split: Split, most: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Small pictures of a split, drawn at random, and their classes."""
    chosen = torch.randperm(split.size, generator=generator)[:most].sort().values
    maps = data.prepared(split.inputs[chosen])
    sides = [min(SIDE, side) for side in maps.shape[2:]]
    return functional.adaptive_avg_pool2d(maps, sides).double(), split.targets[chosen].long()

"""The recipe that suits a data set and the epochs that are affordable, by what was measured: see docs/recipes.md."""

from typing import Any

import torch

from evaluators.datasets import DataSet
from evaluators.mirroring import may_mirror
from evaluators.recipe import default_recipe
from evaluators.recipes.averaging.ema import EMA
from evaluators.recipes.optimizer.muon import Muon
from evaluators.recipes.training import Recipe
from evaluators.tasks import Classification

SHORT = 10
"""Trainings of fewer epochs than this are short: they see too little to be kept from learning by heart."""
WIDEST = 128
"""Larger matrices cost Muon more time than it saves."""
STEPS = 300
"""A training has about so many steps, or its batches are smaller than usual."""
SMALLEST = 32
"""The smallest batch that this makes of the usual one."""
MEMORY = 0.1
"""Averages of weights reach back over about this share of the steps."""


def budget_recipe(dataset: DataSet, epochs: int, **settings: Any) -> Recipe:
    """The recipe for `epochs` epochs from scratch, with `settings` in place of its own.

    For classes of pictures and spectrograms it is Muon's where matrices are small, with averages of the weights that
    reach back over a fixed share of the steps, and smaller batches where there would be few steps; mirroring only where
    pictures still look like their class (`may_mirror`), and label smoothing only in trainings that are no short ones.
    For other tasks, of which nothing was measured, it is `default_recipe`'s.
    """
    if not (isinstance(dataset.task, Classification) and dataset.medium in ("pictures", "spectrograms")):
        return default_recipe(dataset, **{**settings, "epochs": epochs})
    batch_size = int(settings.get("batch_size", _batch_size(dataset, epochs)))
    steps = max(1, epochs * (dataset.train.size // min(batch_size, dataset.train.size)))
    suited: dict[str, Any] = {
        "optimizer": Muon(widest=WIDEST),
        "lr": 1e-2,
        "label_smoothing": 0.0 if epochs < SHORT else 0.1,
        "averaging": EMA(decay=_decay(steps)),
        "precision": precision(),
        **_moves(dataset, settings),
    }
    return default_recipe(dataset, **{**suited, **settings, "epochs": epochs, "batch_size": batch_size})


def precision() -> str:
    """The precision that trainings are fastest in here: mixed on a CPU, too, where it multiplies in bfloat16 itself."""
    if torch.cuda.is_available():
        return "auto"
    able = torch.cpu.get_capabilities()
    return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "auto"


def _batch_size(dataset: DataSet, epochs: int) -> int:
    """The usual one, halved until there are steps enough."""
    found = default_recipe(dataset).batch_size
    while found > SMALLEST and epochs * max(1, dataset.train.size // found) < STEPS:
        found //= 2
    return found


def _decay(steps: int) -> float:
    """The decay of averages, rounded, of at most .999."""
    return round(min(0.999, max(0.9, 1 - 1 / (MEMORY * steps))), 4)


def _moves(dataset: DataSet, settings: dict[str, Any]) -> dict[str, Any]:
    """Which of shifts and mirroring there are; nothing where it is said."""
    if dataset.augmentation != "flip" or "augmentation" in settings or may_mirror(dataset):
        return {}
    return {"augmentation": "shift"}

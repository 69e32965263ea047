"""What a source of data gives, and the registry of sources."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from evaluators.datasets.dataset import Augmentation
from search_spaces.registry import Registry

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Arrays:
    """What a source gives: pictures of shape (n, height, width) or (n, height, width, channels), uint8 or float.

    Labels are integers of any range. Splits that the source doesn't have are None; they are drawn from `train`.
    """

    train: tuple[Array, Array]
    validation: tuple[Array, Array] | None = None
    test: tuple[Array, Array] | None = None
    classes: tuple[str, ...] = ()
    augmentation: Augmentation | None = None
    problems: tuple[str, ...] = ()


Source = Callable[..., Any]
DATASETS: Registry[Source] = Registry("dataset", "evaluators.datasets")
"""Sources by name: functions that give `Arrays`, from the text after the colon where they take one."""

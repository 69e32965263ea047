"""What a source of data gives, and the registry of sources."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evaluators.datasets.cache import Entry
from evaluators.datasets.dataset import Augmentation
from evaluators.datasets.rows import Array
from search_spaces.registry import Registry


@dataclass(frozen=True)
class Arrays:
    """What a source gives: pictures of shape (n, height, width) or (n, height, width, channels), uint8 or float.

    Labels are integers of any range. Splits that the source doesn't have are None; they are drawn from `train`.
    Where `entry` is given, pictures are its rows (`Mapped`), channels first, checked and hashed while it was written.
    """

    train: tuple[Any, Array]
    validation: tuple[Any, Array] | None = None
    test: tuple[Any, Array] | None = None
    classes: tuple[str, ...] = ()
    augmentation: Augmentation | None = None
    problems: tuple[str, ...] = ()
    entry: Entry | None = None


Source = Callable[..., Any]
DATASETS: Registry[Source] = Registry("dataset", "evaluators.datasets")
"""Sources by name: functions that give `Arrays`, from the text after the colon where they take one."""

"""What a source of data gives, and the registry of sources."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evaluators.datasets.cache import Entry
from evaluators.datasets.dataset import Augmentation, Medium
from evaluators.datasets.preparation import Preparation
from evaluators.datasets.rows import Array
from evaluators.tasks import Task
from search_spaces.registry import Registry


@dataclass(frozen=True)
class Arrays:
    """What a source gives: inputs and targets, a pair for each split.

    Without further ado these are pictures of shape (n, height, width) or (n, height, width, channels), uint8 or float,
    with their classes, integers of any range (n,), or with several labels each, 0 or 1 (n, classes). Splits that the
    source doesn't have are None; they are drawn from `train`.

    Other targets say their `task`, which takes up what it must know of them (`Task.fitted`) from the training split.
    Other inputs say their `medium`: "tokens" are integers (n, length), with `inputs` = (vocabulary, length); "tables"
    are float32 (n, columns), with NaN where a value is missing; "spectrograms" are (n, bands, frames). How they become
    what a network takes is the `preparation`, or a function that makes one of the raw training inputs; without it
    numbers are standardized. `space` names the ready space that suits; without it there is one for each medium.
    Examples of one of the `groups`, integers (n,), stay together where splits are drawn from `train`.

    Where inputs are larger than memory they are rows of a file (`Mapped`), as a network's preparation takes them:
    pictures channels first, uint8 or float32, without values that aren't finite. `entry` is the entry of the cache
    that they are from; its `about["sha256"]` is the hash of all examples.
    """

    train: tuple[Any, Array]
    validation: tuple[Any, Array] | None = None
    test: tuple[Any, Array] | None = None
    classes: tuple[str, ...] = ()
    augmentation: Augmentation | None = None
    problems: tuple[str, ...] = ()
    task: Task | None = None
    medium: Medium = "pictures"
    preparation: Preparation | Callable[[Array], Preparation] | None = None
    inputs: tuple[int, ...] = ()
    space: str = ""
    groups: Array | None = None
    entry: Entry | None = None


Source = Callable[..., Any]
DATASETS: Registry[Source] = Registry("dataset", "evaluators.datasets")
"""Sources by name: functions that give `Arrays`, from the text after the colon where they take one."""

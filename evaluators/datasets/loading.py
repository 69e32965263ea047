"""From a source's raw arrays to a checked data set: the source by its name, the checks, the splits."""

import inspect
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import torch

from archfront.contracts import WrongUse
from evaluators.datasets.arrays import DATASETS, Array, Arrays
from evaluators.datasets.columns import standardized_columns
from evaluators.datasets.dataset import DataSet, Medium, Split
from evaluators.datasets.drawing import Pair, drawn
from evaluators.datasets.own import arrays_of
from evaluators.datasets.pictures import normalization, pictures
from evaluators.datasets.preparation import Ids, Preparation
from evaluators.datasets.rows import Mapped
from evaluators.datasets.spelling import spelled
from evaluators.datasets.stored import MEMORY_MB, check_memory, stored_normalization
from evaluators.tasks import Task
from search_spaces.errors import SpaceError, near

TEST_SEED = 0
"""A test split that has to be drawn is the same for every study, whatever its seed."""
SPACES: dict[Medium, str] = {"pictures": "hybrid", "spectrograms": "audio", "tokens": "sequence", "tables": "tabular"}
"""The ready space of a medium, where a source names none."""


def load(spec: str, seed: int = 0, validation: float = 0.2, memory_mb: float = MEMORY_MB, **settings: Any) -> DataSet:
    """The data set that `spec` names, checked and split.

    `digits`, `npz:PATH`, `folder:PATH`, `torchvision:NAME`, `text:PATH`, `audio:PATH`, `masks:PATH`, `csv:FILE`,
    `sklearn:NAME`, the path of such a file or folder alone, or `path/to/file.py:name`, where `name` gives `Arrays`, a
    `DataSet`, or objects with `__len__` and `__getitem__` (as torch's data sets). `validation` is the share of the
    training examples that selection uses, drawn class by class from `seed`; it is ignored where the source has its own.
    Pictures that take more than
    `memory_mb` MB as they are held (a byte for each value of uint8) are read from a file while training, where the
    source can do so. `settings` go to the source. Raises `WrongUse`, one line, for everything that would spoil a
    search.
    """
    if not 0 < validation < 1:
        raise WrongUse(f"validation={validation:g} must be a share between 0 and 1, as 0.2")
    try:
        spec = spelled(spec, DATASETS.names())
        found = _fetch(spec, settings, check_memory(memory_mb))
        return found if isinstance(found, DataSet) else _dataset(spec, found, seed, validation)
    except SpaceError as error:
        raise WrongUse(str(error)) from None


def _fetch(spec: str, settings: dict[str, Any], memory_mb: float) -> Arrays | DataSet:
    own = ".py:" in spec and not spec.partition(":")[0].isidentifier()
    name, colon, argument = (spec, "", "") if own else spec.partition(":")
    source = DATASETS.get(name)
    known = inspect.signature(source).parameters
    takes = "argument" in known
    if takes and not argument and known["argument"].default is inspect.Parameter.empty:
        raise WrongUse(f"data '{spec}': say what to load after a colon, as in {name}:PATH")
    if colon and not takes:
        raise WrongUse(f"data '{spec}': '{name}' takes nothing after a colon; say just '{name}'")
    keywords = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    for key in settings:
        if key not in known and not keywords and key != "augmentation":
            raise WrongUse(f"data '{spec}' has no setting '{key}'; {near(key, set(known) - {'argument'})}")
    augmentation = None if "augmentation" in known else settings.pop("augmentation", None)
    if own:
        found = arrays_of(source, settings, spec, memory_mb)
    else:
        settings |= {"memory_mb": memory_mb} if "memory_mb" in known else {}
        found = source(argument, **settings) if takes and argument else source(**settings)
    if augmentation not in (None, "none", "shift", "flip"):
        raise WrongUse(f"augmentation can't be '{augmentation}'; it is none, shift or flip")
    if augmentation is None or isinstance(found, DataSet):
        return found
    return replace(found, augmentation=augmentation)


def _dataset(name: str, arrays: Arrays, seed: int, validation: float) -> DataSet:
    arrays = pictures(name, arrays) if arrays.medium == "pictures" else arrays
    task = arrays.task
    if task is None:
        raise WrongUse(f"{name} is none of pictures and names no task, as Arrays(..., task=Classification(2))")
    given = {"train": arrays.train, "validation": arrays.validation, "test": arrays.test}
    splits = {
        split: _checked(pair, task, f"{name}: the {split} split") for split, pair in given.items() if pair is not None
    }
    try:
        task.check_targets([targets for _, targets in splits.values()])
    except WrongUse as error:
        raise WrongUse(f"{name}: {error}") from None
    if len(splits["train"][1]) < 3:
        raise WrongUse(f"{name} has {len(splits['train'][1])} training examples; it needs three at the very least")
    digest = _sha256(splits) if arrays.entry is None else arrays.entry.about["sha256"]
    groups = arrays.groups
    if "test" not in splits:
        splits["train"], splits["test"], groups = drawn(splits["train"], 0.2, TEST_SEED, groups)
    if "validation" not in splits:
        splits["train"], splits["validation"], groups = drawn(splits["train"], validation, seed, groups)
    preparation = _preparation(name, arrays, splits["train"][0])
    prepared = preparation(_tensor(splits["train"][0][:1]))
    if (arrays.augmentation or "none") != "none" and arrays.medium != "pictures":
        raise WrongUse(
            f"{name}: augmentation={arrays.augmentation} moves pictures, and no other examples; leave it out, or say "
            "--set evaluator.augmentations=..."
        )
    return DataSet(
        name=name,
        task=task.fitted(splits["train"][1]),
        inputs=arrays.inputs or tuple(prepared.shape[1:]),
        train=_split(*splits["train"]),
        validation=_split(*splits["validation"]),
        test=_split(*splits["test"]),
        preparation=preparation,
        sha256=digest,
        medium=arrays.medium,
        space=arrays.space or SPACES[arrays.medium],
        augmentation=arrays.augmentation or "none",
        problems=arrays.problems + _leaks(splits, "pictures" if arrays.medium == "pictures" else "examples"),
    )


def _checked(pair: Pair, task: Task, what: str) -> Pair:
    """Inputs and targets of equal number; targets of several columns have two dimensions even where there is one."""
    inputs, targets = pair[0] if isinstance(pair[0], Mapped) else np.asarray(pair[0]), np.asarray(pair[1])
    if len(inputs) != len(targets):
        raise WrongUse(f"{what} has {len(inputs)} inputs but {len(targets)} targets")
    if len(inputs) == 0:
        raise WrongUse(f"{what} is empty; give it examples, or leave the split out")
    if targets.ndim == 1 and task.kind != "categorical":
        targets = targets[:, None]
    return inputs, targets


def _preparation(name: str, arrays: Arrays, train: Any) -> Preparation:
    """The source's own preparation, or the one of its medium, fitted to raw training inputs."""
    own = arrays.preparation
    if arrays.entry is not None and own is normalization:
        return stored_normalization(train, arrays.entry)
    if own is not None:
        return own if isinstance(own, Preparation) else own(train)
    if arrays.medium == "tables":
        return standardized_columns(train)
    if arrays.medium == "tokens":
        if len(arrays.inputs) != 2:
            raise WrongUse(f"{name}: tokens need Arrays(..., inputs=(vocabulary, length))")
        return Ids()
    if train.ndim != 4:
        raise WrongUse(f"{name}: {arrays.medium} of shape {train.shape}; expected (n, 1, bands, frames)")
    return normalization(train)


def _sha256(splits: dict[str, Pair]) -> str:
    digest = sha256()
    for inputs, targets in splits.values():
        digest.update(np.ascontiguousarray(inputs).data)
        digest.update(np.ascontiguousarray(targets).tobytes())
    return digest.hexdigest()


def _leaks(splits: dict[str, Pair], what: str) -> tuple[str, ...]:
    """A line when examples of the test split also occur in the other ones."""
    seen = {one for split in ("train", "validation") for one in _told_apart(splits[split][0])}
    leaked = sum(one in seen for one in _told_apart(splits["test"][0]))
    return (f"{leaked} of {len(splits['test'][1])} test {what} also occur in train",) if leaked else ()


def _told_apart(inputs: Any) -> Iterator[Any]:
    """Of each example, what equal ones have in common: its bytes, or where they are in a file, a hash of them."""
    if isinstance(inputs, Mapped):
        return iter(inputs.hashes.tolist() if inputs.hashes is not None else ())
    return (one.tobytes() for one in inputs)


def _split(inputs: Any, targets: Array) -> Split:
    return Split(inputs if isinstance(inputs, Mapped) else _tensor(inputs), _tensor(targets))


def _tensor(array: Any) -> torch.Tensor:
    return array if isinstance(array, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(array))

"""Pictures as sources give them: checked, channels first, with their classes numbered from 0."""

from dataclasses import replace
from typing import Any

import numpy as np

from archfront.contracts import WrongUse
from evaluators.datasets.arrays import Array, Arrays
from evaluators.datasets.dataset import Augmentation
from evaluators.datasets.preparation import Normalization
from evaluators.datasets.rows import Mapped
from evaluators.tasks import Classification, MultiLabel, Task

Splits = dict[str, tuple[Array, Array]]


def pictures(name: str, arrays: Arrays) -> Arrays:
    """The pictures of all splits as (n, channels, height, width), uint8 or float32, with their task, nothing wrong.

    Targets of a task that the source names stay as they are.
    """
    given = {"train": arrays.train, "validation": arrays.validation, "test": arrays.test}
    splits = {split: _checked(pair, f"{name}: the {split} split") for split, pair in given.items() if pair is not None}
    problems = arrays.problems
    task = arrays.task
    if task is None and splits["train"][1].ndim == 2:
        task, more = _labels(name, splits, arrays.classes)
        problems += more
    elif task is None:
        task = _classes(name, splits, arrays.classes)
    _same_sizes(name, splits)
    shape = splits["train"][0].shape[1:]
    # What moves a picture doesn't move what is wanted at each place of it.
    usual: Augmentation = "none" if len(task.gives(shape)) > 1 else "flip" if shape[0] == 3 else "shift"
    return replace(
        arrays,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        task=task,
        preparation=arrays.preparation or normalization,
        augmentation=arrays.augmentation or usual,
        problems=problems,
    )


def normalization(images: Array) -> Normalization:
    """To zero mean and unit variance per channel, by a sample of the training pictures."""
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    sample = images[:: max(1, len(images) // 4096)].astype(np.float64) / scale
    return Normalization(
        [float(value) for value in sample.mean(axis=(0, 2, 3))],
        [max(float(value), 1e-3) for value in sample.std(axis=(0, 2, 3))],
        scale,
    )


def _checked(pair: tuple[Any, Array], what: str) -> tuple[Any, Array]:
    """The pictures as (n, channels, height, width), uint8 or float32, and their targets, with nothing wrong."""
    if isinstance(pair[0], Mapped):  # The pictures were looked at while they were written.
        return pair
    images, labels = np.asarray(pair[0]), np.asarray(pair[1])
    labels = labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    check_shapes(images.shape, labels, what)
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8:
        images = images.astype(np.float32)
        if not np.isfinite(images).all():
            raise WrongUse(
                f"{what} holds {int((~np.isfinite(images)).sum())} values that aren't finite; clean it first"
            )
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), labels


def check_shapes(shape: tuple[int, ...], labels: Array, what: str) -> None:
    """Raise `WrongUse` where images of a shape and these labels aren't pictures with labels."""
    if len(shape) not in (3, 4):
        raise WrongUse(f"{what} has images of shape {shape}; expected (n, height, width[, channels])")
    if shape[0] != len(labels):
        raise WrongUse(f"{what} has {shape[0]} images but {len(labels)} labels")
    if shape[0] == 0:
        raise WrongUse(f"{what} is empty; give it pictures of at least two classes")
    if len(shape) == 4 and shape[-1] > 4 and shape[1] <= 4:
        raise WrongUse(f"{what} looks channels-first, {shape}; expected (n, height, width, channels)")


def _same_sizes(name: str, splits: Splits) -> None:
    shape = splits["train"][0].shape[1:]
    for split, (images, _) in splits.items():
        if images.shape[1:] != shape:
            raise WrongUse(f"{name}: {split} images are {images.shape[1:]}, train images {shape}; make them the same")


def _classes(name: str, splits: Splits, named: tuple[str, ...]) -> Task:
    """One class for each picture; in `splits` the labels become the classes' numbers."""
    for split, (_, labels) in splits.items():
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            what = f"{name}: the {split} split"
            raise WrongUse(
                f"{what} has labels of shape {labels.shape} and type {labels.dtype}; expected n integers, or 0 and 1 "
                "for each class, (n, classes)"
            )
    values, counts = np.unique(splits["train"][1], return_counts=True)
    if len(values) < 2:
        raise WrongUse(f"{name} has one class only ({(named or values)[0]}); a classifier needs at least two")
    if named and len(named) == len(values):
        classes = tuple(named)
    elif named and values.min() >= 0 and values.max() < len(named):
        classes = tuple(named[value] for value in values)
    else:
        classes = tuple(str(value) for value in values)
    few = [classes[i] for i in range(len(classes)) if counts[i] < 3]
    if few:
        raise WrongUse(f"{name}: fewer than 3 pictures of {listed(few)}; add some, or leave the class out")
    for split, (images, labels) in splits.items():
        unknown = sorted(set(np.unique(labels).tolist()) - set(values.tolist()))
        if unknown:
            raise WrongUse(f"{name}: the {split} split has classes that train has not: {listed(unknown)}")
        splits[split] = images, np.searchsorted(values, labels).astype(np.int64)
    return Classification(len(classes), classes)


def _labels(name: str, splits: Splits, named: tuple[str, ...]) -> tuple[Task, tuple[str, ...]]:
    """Any number of labels for each picture, and what is odd about them; in `splits` they become uint8."""
    width = splits["train"][1].shape[1]
    classes = tuple(named) if len(named) == width else tuple(map(str, range(width)))
    task = MultiLabel(width, classes)
    for split, (images, labels) in splits.items():
        try:
            task.check_targets([labels])
        except WrongUse as error:
            raise WrongUse(f"{name}: the {split} split has {error}") from None
        splits[split] = images, labels.astype(np.uint8)
    held = splits["train"][1]
    return task, label_problems(held, classes)


def label_problems(held: Array, classes: tuple[str, ...]) -> tuple[str, ...]:
    """What is odd about the labels of the training examples, 0 or 1 (n, classes)."""
    counts = held.sum(0)
    never = [classes[i] for i in range(len(classes)) if counts[i] == 0]
    always = [classes[i] for i in range(len(classes)) if counts[i] == len(held)]
    found = []
    if (held.sum(1) == 1).all():
        found.append("every example has exactly one label, which one class number each would say better")
    if never:
        found.append(f"no training example has {listed(never)}")
    if always:
        found.append(f"every training example has {listed(always)}")
    return tuple(found)


def listed(names: list[Any]) -> str:
    """The first five of some names."""
    return ", ".join(f"'{name}'" for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

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
from evaluators.datasets.cache import Entry
from evaluators.datasets.dataset import DataSet, Split
from evaluators.datasets.own import arrays_of
from evaluators.datasets.preparation import Normalization
from evaluators.datasets.rows import Mapped
from evaluators.datasets.stored import MEMORY_MB, check_memory, check_pair, moments
from evaluators.tasks.classification import Classification
from search_spaces.errors import SpaceError, near

TEST_SEED = 0
"""A test split that has to be drawn is the same for every study, whatever its seed."""


def load(spec: str, seed: int = 0, validation: float = 0.2, memory_mb: float = MEMORY_MB, **settings: Any) -> DataSet:
    """The data set that `spec` names, checked and split.

    `digits`, `npz:PATH`, `folder:PATH`, `torchvision:NAME`, or `path/to/file.py:name`, where `name` gives `Arrays`,
    a `DataSet`, or objects with `__len__` and `__getitem__` (as torch's data sets). `validation` is the share of the
    training pictures that selection uses, drawn class by class from `seed`; it is ignored where the source has its
    own. Examples that take more than `memory_mb` MB as they are held (one byte per value for uint8) are read from a
    file while training, where the source can do so. `settings` go to the source. Raises `WrongUse`, one line, for
    everything that would spoil a search.
    """
    if not 0 < validation < 1:
        raise WrongUse(f"validation={validation:g} must be a share between 0 and 1, as 0.2")
    try:
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
    given = {"train": arrays.train, "validation": arrays.validation, "test": arrays.test}
    splits = {split: _checked(pair, f"{name}: the {split} split") for split, pair in given.items() if pair is not None}
    classes = _classes(name, splits, arrays.classes)
    values = np.unique(splits["train"][1])
    splits = {split: (images, np.searchsorted(values, labels)) for split, (images, labels) in splits.items()}
    digest = _digest(splits) if arrays.entry is None else arrays.entry.about["sha256"]
    if "test" not in splits:
        splits["train"], splits["test"] = _drawn(splits["train"], 0.2, TEST_SEED)
    if "validation" not in splits:
        splits["train"], splits["validation"] = _drawn(splits["train"], validation, seed)
    train, channels = splits["train"][0], splits["train"][0].shape[1]
    scale = 255.0 if str(train.dtype).endswith("uint8") else 1.0
    mean, std = _moments(train, scale, arrays.entry)
    return DataSet(
        name=name,
        task=Classification(len(classes), classes, _frequencies(splits["train"][1], len(classes))),
        inputs=(channels, train.shape[2], train.shape[3]),
        train=_split(*splits["train"]),
        validation=_split(*splits["validation"]),
        test=_split(*splits["test"]),
        preparation=Normalization(mean, [max(value, 1e-3) for value in std], scale),
        sha256=digest,
        augmentation=arrays.augmentation or ("flip" if channels == 3 else "shift"),
        problems=arrays.problems + _leaks(splits),
    )


def _checked(pair: tuple[Array, Array], what: str) -> tuple[Array, Array]:
    """The pictures as (n, channels, height, width), uint8 or float32, and their labels, with nothing wrong."""
    images, labels = pair[0] if isinstance(pair[0], Mapped) else np.asarray(pair[0]), np.asarray(pair[1])
    labels = labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if isinstance(images, Mapped):  # The pictures were looked at while they were written.
        return images, labels.astype(np.int64)
    check_pair(images, labels, what)
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8:
        images = images.astype(np.float32)
        if not np.isfinite(images).all():
            raise WrongUse(
                f"{what} holds {int((~np.isfinite(images)).sum())} values that aren't finite; clean it first"
            )
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), labels.astype(np.int64)


def _classes(name: str, splits: dict[str, tuple[Array, Array]], named: tuple[str, ...]) -> tuple[str, ...]:
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
        raise WrongUse(f"{name}: fewer than 3 pictures of {_listed(few)}; add some, or leave the class out")
    shape = splits["train"][0].shape[1:]
    for split, (images, labels) in splits.items():
        unknown = sorted(set(np.unique(labels).tolist()) - set(values.tolist()))
        if unknown:
            raise WrongUse(f"{name}: the {split} split has classes that train has not: {_listed(unknown)}")
        if images.shape[1:] != shape:
            raise WrongUse(f"{name}: {split} images are {images.shape[1:]}, train images {shape}; make them the same")
    return classes


def _drawn(pair: tuple[Any, Array], share: float, seed: int) -> tuple[tuple[Any, Array], tuple[Any, Array]]:
    """The pictures in two, the second with `share` of every class (at least one, and never all)."""
    images, labels = pair
    rng = np.random.default_rng([seed, 0x5B117])
    second: list[int] = []
    for value in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == value))
        second.extend(members[: min(max(1, round(share * len(members))), len(members) - 1)].tolist())
    mask = np.zeros(len(labels), dtype=bool)
    mask[second] = True
    if isinstance(images, Mapped):
        return (images.at(~mask), labels[~mask]), (images.at(mask), labels[mask])
    return (images[~mask], labels[~mask]), (images[mask], labels[mask])


def _digest(splits: dict[str, tuple[Array, Array]]) -> str:
    digest = sha256()
    for images, labels in splits.values():
        digest.update(np.ascontiguousarray(images).data)
        digest.update(labels.astype(np.int64).tobytes())
    return digest.hexdigest()


def _moments(train: Any, scale: float, entry: Entry | None) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel of some thousands of training pictures, divided by `scale`."""
    step = max(1, len(train) // 4096)
    if entry is not None:
        numbers = sha256(train.numbers[::step].tobytes()).hexdigest()[:24]
        mean, std = entry.remembered(f"moments-{numbers}", lambda: moments(train, scale, step))
        return mean, std
    sample = train[::step].astype(np.float64) / scale
    return sample.mean(axis=(0, 2, 3)).tolist(), sample.std(axis=(0, 2, 3)).tolist()


def _leaks(splits: dict[str, tuple[Array, Array]]) -> tuple[str, ...]:
    """A line when pictures of the test split also occur in the other ones."""
    seen = {image for split in ("train", "validation") for image in _told_apart(splits[split][0])}
    leaked = sum(image in seen for image in _told_apart(splits["test"][0]))
    return (f"{leaked} of {len(splits['test'][1])} test pictures also occur in train",) if leaked else ()


def _told_apart(images: Any) -> Iterator[Any]:
    """Of each picture, what equal ones have in common: its bytes, or a hash of them."""
    if isinstance(images, Mapped) and images.hashes is not None:
        return iter(images.hashes.tolist())
    return (image.numpy().tobytes() if isinstance(images, Mapped) else image.tobytes() for image in images)


def _split(images: Any, labels: Array) -> Split:
    if isinstance(images, Mapped):
        return Split(images, torch.from_numpy(labels.astype(np.int64)))
    return Split(torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels.astype(np.int64)))


def _frequencies(labels: Array, classes: int) -> tuple[int, ...]:
    return tuple(np.bincount(labels, minlength=classes).tolist())


def _listed(names: list[Any]) -> str:
    return ", ".join(f"'{name}'" for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

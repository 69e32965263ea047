"""From a source's raw arrays to a checked data set: the source by its name, the checks, the splits."""

import inspect
from hashlib import sha256
from typing import Any

import numpy as np
import torch

from archfront.contracts import WrongUse
from evaluators.datasets.arrays import DATASETS, Array, Arrays
from evaluators.datasets.dataset import DataSet, Split
from evaluators.datasets.own import arrays_of
from evaluators.datasets.preparation import Normalization
from evaluators.tasks.classification import Classification
from search_spaces.errors import SpaceError, near

TEST_SEED = 0
"""A test split that has to be drawn is the same for every study, whatever its seed."""


def load(spec: str, seed: int = 0, validation: float = 0.2, **settings: Any) -> DataSet:
    """The data set that `spec` names, checked and split.

    `digits`, `npz:PATH`, `folder:PATH`, `torchvision:NAME`, or `path/to/file.py:name`, where `name` gives `Arrays`,
    a `DataSet`, or objects with `__len__` and `__getitem__` (as torch's data sets). `validation` is the share of the
    training pictures that selection uses, drawn class by class from `seed`; it is ignored where the source has its
    own. `settings` go to the source. Raises `WrongUse`, one line, for everything that would spoil a search.
    """
    if not 0 < validation < 1:
        raise WrongUse(f"validation={validation:g} must be a share between 0 and 1, as 0.2")
    try:
        found = _fetch(spec, settings)
        return found if isinstance(found, DataSet) else _dataset(spec, found, seed, validation)
    except SpaceError as error:
        raise WrongUse(str(error)) from None


def _fetch(spec: str, settings: dict[str, Any]) -> Arrays | DataSet:
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
        found = arrays_of(source, settings, spec)
    else:
        found = source(argument, **settings) if takes and argument else source(**settings)
    if augmentation not in (None, "none", "shift", "flip"):
        raise WrongUse(f"augmentation can't be '{augmentation}'; it is none, shift or flip")
    if augmentation is None or isinstance(found, DataSet):
        return found
    return Arrays(found.train, found.validation, found.test, found.classes, augmentation, found.problems)


def _dataset(name: str, arrays: Arrays, seed: int, validation: float) -> DataSet:
    given = {"train": arrays.train, "validation": arrays.validation, "test": arrays.test}
    splits = {split: _checked(pair, f"{name}: the {split} split") for split, pair in given.items() if pair is not None}
    classes = _classes(name, splits, arrays.classes)
    values = np.unique(splits["train"][1])
    splits = {split: (images, np.searchsorted(values, labels)) for split, (images, labels) in splits.items()}
    digest = sha256()
    for images, labels in splits.values():
        digest.update(np.ascontiguousarray(images).data)
        digest.update(labels.astype(np.int64).tobytes())
    if "test" not in splits:
        splits["train"], splits["test"] = _drawn(splits["train"], 0.2, TEST_SEED)
    if "validation" not in splits:
        splits["train"], splits["validation"] = _drawn(splits["train"], validation, seed)
    train, channels = splits["train"][0], splits["train"][0].shape[1]
    scale = 255.0 if train.dtype == np.uint8 else 1.0
    sample = train[:: max(1, len(train) // 4096)].astype(np.float64) / scale
    return DataSet(
        name=name,
        task=Classification(len(classes), classes, _frequencies(splits["train"][1], len(classes))),
        inputs=(channels, train.shape[2], train.shape[3]),
        train=_split(*splits["train"]),
        validation=_split(*splits["validation"]),
        test=_split(*splits["test"]),
        preparation=Normalization(
            [float(value) for value in sample.mean(axis=(0, 2, 3))],
            [max(float(value), 1e-3) for value in sample.std(axis=(0, 2, 3))],
            scale,
        ),
        sha256=digest.hexdigest(),
        augmentation=arrays.augmentation or ("flip" if channels == 3 else "shift"),
        problems=arrays.problems + _leaks(splits),
    )


def _checked(pair: tuple[Array, Array], what: str) -> tuple[Array, Array]:
    """The pictures as (n, channels, height, width), uint8 or float32, and their labels, with nothing wrong."""
    images, labels = np.asarray(pair[0]), np.asarray(pair[1])
    labels = labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if images.ndim not in (3, 4):
        raise WrongUse(f"{what} has images of shape {images.shape}; expected (n, height, width[, channels])")
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise WrongUse(f"{what} has labels of shape {labels.shape} and type {labels.dtype}; expected n integers")
    if len(images) != len(labels):
        raise WrongUse(f"{what} has {len(images)} images but {len(labels)} labels")
    if len(images) == 0:
        raise WrongUse(f"{what} is empty; give it pictures of at least two classes")
    if images.ndim == 3:
        images = images[..., None]
    if images.shape[-1] > 4 and images.shape[1] <= 4:
        raise WrongUse(f"{what} looks channels-first, {images.shape}; expected (n, height, width, channels)")
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


def _drawn(pair: tuple[Array, Array], share: float, seed: int) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The pictures in two, the second with `share` of every class (at least one, and never all)."""
    images, labels = pair
    rng = np.random.default_rng([seed, 0x5B117])
    second: list[int] = []
    for value in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == value))
        second.extend(members[: min(max(1, round(share * len(members))), len(members) - 1)].tolist())
    mask = np.zeros(len(labels), dtype=bool)
    mask[second] = True
    return (images[~mask], labels[~mask]), (images[mask], labels[mask])


def _leaks(splits: dict[str, tuple[Array, Array]]) -> tuple[str, ...]:
    """A line when pictures of the test split also occur in the other ones."""
    seen = {image.tobytes() for split in ("train", "validation") for image in splits[split][0]}
    leaked = sum(image.tobytes() in seen for image in splits["test"][0])
    return (f"{leaked} of {len(splits['test'][1])} test pictures also occur in train",) if leaked else ()


def _split(images: Array, labels: Array) -> Split:
    return Split(torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels.astype(np.int64)))


def _frequencies(labels: Array, classes: int) -> tuple[int, ...]:
    return tuple(np.bincount(labels, minlength=classes).tolist())


def _listed(names: list[Any]) -> str:
    return ", ".join(f"'{name}'" for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

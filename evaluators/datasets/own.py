"""A user's own data set: a class or function in a file of theirs, read into arrays."""

import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from archfront.contracts import WrongUse
from evaluators.datasets import stored
from evaluators.datasets.arrays import Array, Arrays
from evaluators.datasets.dataset import DataSet
from evaluators.datasets.folder import SIZE
from evaluators.picture_files import fitted

LOOKED_AT = 16
"""So many items of a set that is in the cache tell whether it is the same as before."""


def arrays_of(
    source: Callable[..., Any], settings: dict[str, Any], spec: str, memory_mb: float = stored.MEMORY_MB
) -> Arrays | DataSet:
    """What `source` gives, as arrays.

    `source` returns `Arrays` or a `DataSet`, or an object with `__len__` and `__getitem__` whose items are
    (image, label), and whose `task`, where it has one, says what else than a class's number a label is. When it takes
    `train=True` and `train=False`, as torchvision's do, the latter is the test split.
    Items that take more than `memory_mb` are read into the cache once.
    """
    try:
        if "train" in inspect.signature(source).parameters:
            first, second = source(train=True, **settings), source(train=False, **settings)
        else:
            first, second = source(**settings), None
    except WrongUse:
        raise
    except Exception as error:
        raise WrongUse(
            f"data '{spec}' can't be made: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    if isinstance(first, Arrays | DataSet):
        return first
    if not (hasattr(first, "__len__") and hasattr(first, "__getitem__")):
        raise WrongUse(
            f"data '{spec}' gives a {type(first).__name__}; expected Arrays, DataSet, or (image, label) items"
        )
    classes = tuple(map(str, getattr(first, "classes", ())))
    about = {"file": str(Path(spec.rpartition(":")[0]).resolve()), "settings": repr(sorted(settings.items()))}
    return arrays_of_items(first, second, spec, memory_mb, about, classes=classes, task=getattr(first, "task", None))


def arrays_of_items(
    first: Any, second: Any, spec: str, memory_mb: float, about: dict[str, Any], size: int = 0, **more: Any
) -> Arrays:
    """The items of a training and (unless None) a test set, in memory or in the cache; `more` fields of `Arrays`."""
    room = memory_mb * 2**20 / max(1, len(first) + (0 if second is None else len(second)))
    train = pairs(first, spec, size, room)
    test = None if train is None or second is None else pairs(second, spec, size, room)
    if train is None or (second is not None and test is None):
        streamed = replace(_streamed(first, second, spec, about, size), own_task=more.get("task") is not None)
        if streamed.nbytes > memory_mb * 2**20:
            return stored.arrays_of_entry(streamed.cached(), memory_mb, **more)
        train, test = pairs(first, spec, size), None if second is None else pairs(second, spec, size)
    assert train is not None
    return Arrays(train, None, test, **more)


def pairs(items: Any, spec: str, size: int = 0, room: float = math.inf) -> tuple[Array, Array] | None:
    """The (image, label) items of a map-style data set as arrays, channels last.

    None where the first one takes more than `room` bytes, or all take more than that each.
    """
    images: list[Array] = []
    labels: list[Any] = []
    sizes: set[tuple[int, ...]] = set()
    used = 0
    for index in range(len(items)):
        image, label = items[index]
        images.append(_pixels(image, size))
        used += _held(images[-1])
        if used > room * (1 if index == 0 else len(items)):
            return None
        labels.append(_label(label))
        sizes.add(images[-1].shape)
    if len(sizes) > 1:
        if all(_is_picture(items[i][0]) for i in range(min(2, len(items)))):
            return pairs(items, spec, SIZE, room)
        raise WrongUse(f"data '{spec}' has images of {len(sizes)} shapes, as {sorted(sizes)[:2]}; make them the same")
    if len({np.shape(label) for label in labels}) > 1:
        raise WrongUse(f"data '{spec}' has labels of several shapes; give each the same number of values")
    return np.stack(images) if images else np.zeros((0, 1, 1), dtype=np.uint8), np.array(labels)


def _label(label: Any) -> Any:
    """A number, or an array of several: labels, a mask."""
    values = label.detach().cpu().numpy() if hasattr(label, "detach") else np.asarray(label)
    return values if values.size > 1 else values.reshape(()).item()


def _pixels(image: Any, size: int) -> Array:
    """A Pillow image, or a tensor or array: (channels, height, width) for tensors, channels last for arrays."""
    if hasattr(image, "convert"):
        image = image if image.mode in ("L", "RGB") else image.convert("RGB")
        return np.asarray(fitted(image, size, size) if size else image)
    if hasattr(image, "detach"):
        array = image.detach().cpu().numpy()
        return array.transpose(1, 2, 0) if array.ndim == 3 else array
    return np.asarray(image)


def _streamed(first: Any, second: Any, spec: str, about: dict[str, Any], size: int) -> stored.Streamed:
    """The items a few at a time.

    What an item is made from is unknown here. That a set is the one in the cache is told by `about`, by the file that
    it is from, by how many items there are, and by some of them.
    """
    splits = {"train": first} | ({} if second is None else {"test": second})
    some = [items[index] for items in splits.values() for index in _spread(len(items))]
    shapes = {_pixels(image, size).shape for image, _ in some}
    if len(shapes) > 1 and not size and all(_is_picture(image) for image, _ in some):
        return _streamed(first, second, spec, about, SIZE)
    if len(shapes) > 1:
        raise WrongUse(f"data '{spec}' has images of {len(shapes)} shapes, as {sorted(shapes)[:2]}; make them the same")
    digest, file = sha256(), Path(about.get("file", ""))
    for image, label in some:
        digest.update(np.ascontiguousarray(_pixels(image, size)).tobytes() + np.asarray(_label(label)).tobytes())
    digest.update(file.read_bytes() if file.is_file() else b"")
    counts = {split: len(items) for split, items in splits.items()}
    like = _pixels(some[0][0], size)

    def chunks(split: str) -> stored.Chunks:
        items, at_once = splits[split], stored.per_chunk(_held(like))
        for start in range(0, len(items), at_once):
            yield _read(items, range(start, min(start + at_once, len(items))), like, spec, size)

    contents = {"some": digest.hexdigest(), "counts": counts}
    return stored.Streamed(
        {"items": spec, **about, "size": size}, contents, like.shape, like.dtype, counts, chunks, f"data '{spec}'"
    )


def _spread(count: int) -> list[int]:
    """Some numbers of items from all over a set."""
    return sorted({round(number) for number in np.linspace(0, count - 1, min(count, LOOKED_AT))})


def _is_picture(image: Any) -> bool:
    """Whether it is one of Pillow's."""
    return hasattr(image, "resize") and hasattr(image, "crop")


def _held(image: Array) -> int:
    """How many bytes a picture takes as it is held."""
    return int(image.size) * (1 if image.dtype == np.uint8 else 4)


def _read(items: Any, numbers: range, like: Array, spec: str, size: int) -> tuple[Array, Array]:
    images, labels = [], []
    for index in numbers:
        image, label = items[index]
        images.append(_pixels(image, size))
        labels.append(_label(label))
        if (images[-1].shape, images[-1].dtype) != (like.shape, like.dtype):
            kinds = [f"{array.shape} of {array.dtype}" for array in (like, images[-1])]
            cure = "set data.size=64" if spec.startswith("torchvision:") else "make them the same"
            raise WrongUse(f"data '{spec}' has images of several kinds, as {' and '.join(kinds)}; {cure}")
    return np.stack(images), np.array(labels)

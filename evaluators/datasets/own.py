"""A user's own data set: a class or function in a file of theirs, read into arrays."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from archfront.contracts import WrongUse
from evaluators.datasets.arrays import Array, Arrays
from evaluators.datasets.dataset import DataSet
from evaluators.datasets.folder import SIZE, fitted


def arrays_of(source: Callable[..., Any], settings: dict[str, Any], spec: str) -> Arrays | DataSet:
    """What `source` gives, as arrays.

    `source` returns `Arrays` or a `DataSet`, or an object with `__len__` and `__getitem__` whose items are
    (image, label), and whose `task`, where it has one, says what else than a class's number a label is. When it takes
    `train=True` and `train=False`, as torchvision's do, the latter is the test split.
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
    test = None if second is None else pairs(second, spec)
    return Arrays(pairs(first, spec), None, test, classes, task=getattr(first, "task", None))


def pairs(items: Any, spec: str, size: int = 0) -> tuple[Array, Array]:
    """The (image, label) items of a map-style data set as arrays, channels last."""
    images: list[Array] = []
    labels: list[Any] = []
    sizes: set[tuple[int, ...]] = set()
    for index in range(len(items)):
        image, label = items[index]
        images.append(_pixels(image, size))
        labels.append(_label(label))
        sizes.add(images[-1].shape)
    if len(sizes) > 1:
        if all(hasattr(items[i][0], "resize") and hasattr(items[i][0], "crop") for i in range(min(2, len(items)))):
            return pairs(items, spec, SIZE)
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

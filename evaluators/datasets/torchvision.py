"""torchvision's data sets, by name."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np

from archfront.contracts import WrongUse
from evaluators.datasets import stored
from evaluators.datasets.arrays import DATASETS, Array, Arrays
from evaluators.datasets.dataset import Augmentation
from evaluators.datasets.own import arrays_of_items
from search_spaces.errors import near

READS_LIKE_TEXT = {"MNIST", "EMNIST", "KMNIST", "QMNIST", "USPS", "SVHN", "GTSRB", "Omniglot", "RenderedSST2"}
"""Data sets whose pictures mean something else, or nothing, in a mirror."""


@DATASETS.register("torchvision")
def torchvision(
    argument: str,
    root: str = "~/.cache/archfront/torchvision",
    download: bool = False,
    size: int = 0,
    memory_mb: float = stored.MEMORY_MB,
    **extra: Any,
) -> Arrays:
    """`torchvision:NAME`, as CIFAR10 or FashionMNIST, from `root`; fetched from the network only with `download`.

    Pictures of different sizes are scaled and cropped to `size`×`size`. What torchvision doesn't hold in memory
    itself, and takes more than `memory_mb`, is read into the cache once. `extra` goes to torchvision's class.
    """
    import search_spaces.torchvision_operators  # noqa: F401  (torchvision won't import beside a CPU torch without it)

    # isort: split
    from torchvision import datasets

    cls = getattr(datasets, argument, None)
    known = [name for name, value in vars(datasets).items() if isinstance(value, type)]
    if not isinstance(cls, type):
        raise WrongUse(f"torchvision has no data set '{argument}'; {near(argument, known)}")
    folder = Path(root).expanduser()
    train = _opened(cls, argument, folder, True, download, extra)
    test = _opened(cls, argument, folder, False, download, extra)
    augmentation: Augmentation | None = "shift" if argument in READS_LIKE_TEXT else None
    classes = tuple(map(str, getattr(train, "classes", ())))
    first, second = _held(train, size), None if test is None else _held(test, size)
    if first is not None and (second is not None or test is None):
        return Arrays(first, None, second, classes, augmentation)
    about = {"root": str(folder.resolve()), "settings": repr(sorted(extra.items()))}
    spec = f"torchvision:{argument}"
    return arrays_of_items(train, test, spec, memory_mb, about, size, classes=classes, augmentation=augmentation)


def _opened(cls: type, name: str, root: Path, train: bool, download: bool, extra: dict[str, Any]) -> Any:
    """torchvision's object for the training or the test pictures; None where it has no test split."""
    known = inspect.signature(cls).parameters
    settings = dict(extra)
    if "train" in known:
        settings["train"] = train
    elif "split" in known:
        settings["split"] = "train" if train else "test"
    elif not train:
        return None
    if "root" in known:
        settings["root"] = str(root)
    if "download" in known:
        settings["download"] = download
    try:
        return cls(**settings)
    except (RuntimeError, OSError, ValueError, TypeError) as error:
        cure = "" if download or "download" not in known else "; put it below root, or set download=true to fetch it"
        raise WrongUse(f"torchvision:{name} at {root}: {' '.join(str(error).split())[:150]}{cure}") from None


def _held(found: Any, size: int) -> tuple[Array, Array] | None:
    """The pictures in one go, where torchvision holds them as an array of (n, height, width[, 3])."""
    data, targets = getattr(found, "data", None), getattr(found, "targets", None)
    if targets is not None and not size and getattr(data, "ndim", 0) in (3, 4):
        images = np.asarray(data)
        if images.ndim == 3 or images.shape[-1] in (1, 3):
            return images, np.asarray(targets, dtype=np.int64)
    return None

"""NumPy archives: x_train, y_train, and the other splits where there are any."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from archfront.contracts import WrongUse
from evaluators.datasets.arrays import DATASETS, Array, Arrays

SPLITS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
IMAGES, LABELS = ("x", "images", "X"), ("y", "labels", "Y")


@DATASETS.register("npz")
def npz(argument: str) -> Arrays:
    """`npz:PATH`: x_train, y_train, optionally x_val, y_val, x_test, y_test, class_names; or just x and y.

    `images` and `labels` may stand for x and y, and `train_images` for `x_train`. Pictures are (n, height, width) or
    (n, height, width, channels), as Keras keeps them. Arrays of Python objects are refused, since reading them
    would run code from the file.
    """
    file = Path(argument).expanduser()
    if not file.is_file():
        raise WrongUse(f"no file {argument}; give the path of an .npz archive with x_train and y_train")
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, BadZipFile, EOFError) as error:
        raise WrongUse(f"{argument} can't be read as .npz: {' '.join(str(error).split())[:120]}") from None
    splits = {split: _pair(arrays, names) for split, names in SPLITS.items()}
    train = splits["train"] or _pair(arrays, ("",))
    if train is None:
        raise WrongUse(f"{argument} has no x_train and y_train; it holds {', '.join(sorted(arrays)) or 'nothing'}")
    names = arrays.get("class_names", arrays.get("classes", np.array([])))
    classes = tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names.tolist())
    return Arrays(train, splits["validation"], splits["test"], classes)


def _pair(arrays: dict[str, Array], splits: tuple[str, ...]) -> tuple[Array, Array] | None:
    for split in splits:
        for images, labels in zip(IMAGES, LABELS, strict=True):
            spellings = (f"{images}_{split}", f"{labels}_{split}"), (f"{split}_{images}", f"{split}_{labels}")
            for x, y in spellings if split else ((images, labels),):
                if x in arrays and y in arrays:
                    return arrays[x], arrays[y]
    return None

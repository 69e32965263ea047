"""Reading NumPy archives: their arrays, the pairs among them, the names of classes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from archfront.contracts import WrongUse
from evaluators.datasets.arrays import Array

INPUTS, TARGETS = ("x", "images", "X"), ("y", "labels", "Y")


def archive_of(
    argument: str, wanted: str = "x_train and y_train", known: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The arrays of an .npz file; those of Python objects are refused, since reading them would run the file's code.

    What is `known` stands for the arrays of these names, which aren't read.
    """
    known = known or {}
    file = Path(argument).expanduser()
    if not file.is_file():
        raise WrongUse(f"no file {argument}; give the path of an .npz archive with {wanted}")
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {key: known[key] if key in known else archive[key] for key in archive.files}
    except (OSError, ValueError, BadZipFile, EOFError, AttributeError) as error:
        # An .npy file, which is a single array, has no attribute `files`.
        raise WrongUse(f"{argument} can't be read as .npz: {' '.join(str(error).split())[:120]}") from None


def pair_of(arrays: dict[str, Array], splits: tuple[str, ...]) -> tuple[Array, Array] | None:
    """Inputs and targets of a split, by any of its names ("" for arrays that name none); None where there are none."""
    for split in splits:
        for inputs, targets in zip(INPUTS, TARGETS, strict=True):
            spellings = (f"{inputs}_{split}", f"{targets}_{split}"), (f"{split}_{inputs}", f"{split}_{targets}")
            for x, y in spellings if split else ((inputs, targets),):
                if x in arrays and y in arrays:
                    return arrays[x], arrays[y]
    return None


def names_of(arrays: dict[str, Array]) -> tuple[str, ...]:
    """The names of classes that an archive has, if any."""
    names = arrays.get("class_names", arrays.get("classes", np.array([])))
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names.tolist())

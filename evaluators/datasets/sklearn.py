"""The tables that ship with scikit-learn."""

from typing import Any

import numpy as np

from archfront.contracts import WrongUse
from evaluators.datasets.arrays import DATASETS, Arrays
from evaluators.tasks import Classification, Regression
from search_spaces.errors import near

CLASSES = ("breast_cancer", "digits", "iris", "wine")
NUMBERS = {"diabetes": "disease progression", "linnerud": ""}
"""Data sets with numbers as targets, and what the number is called where scikit-learn doesn't say."""


@DATASETS.register("sklearn", source="Scikit-learn: Machine Learning in Python")
def sklearn(argument: str) -> Arrays:
    """`sklearn:NAME`: breast_cancer, wine, iris, digits (classes), diabetes, linnerud (numbers); needs no file."""
    known = (*CLASSES, *NUMBERS)
    if argument not in known:
        raise WrongUse(f"scikit-learn doesn't ship a table '{argument}', or would fetch it; {near(argument, known)}")
    from sklearn import datasets

    # Diabetes comes standardized over all rows unless it is told not to be.
    options = {"scaled": False} if argument == "diabetes" else {}
    found: Any = getattr(datasets, f"load_{argument}")(**options)
    rows = np.asarray(found.data, dtype=np.float32)
    if argument in CLASSES:
        classes = tuple(map(str, found.target_names))
        task: Any = Classification(len(classes), classes)
        targets: Any = np.asarray(found.target, dtype=np.int64)
    else:
        targets = np.asarray(found.target, dtype=np.float64).reshape(len(rows), -1)
        columns = tuple(map(str, getattr(found, "target_names", ()))) or (NUMBERS[argument],)
        task = Regression(targets.shape[1], columns=columns)
    return Arrays((rows, targets), task=task, medium="tables")

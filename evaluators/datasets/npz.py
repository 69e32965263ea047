"""NumPy archives: x_train, y_train, and the other splits where there are any."""

from archfront.contracts import WrongUse
from evaluators.datasets.archive import archive_of, names_of, pair_of
from evaluators.datasets.arrays import DATASETS, Arrays
from evaluators.datasets.class_files import SPLITS


@DATASETS.register("npz")
def npz(argument: str) -> Arrays:
    """`npz:PATH`: x_train, y_train, optionally x_val, y_val, x_test, y_test, class_names; or just x and y.

    `images` and `labels` may stand for x and y, and `train_images` for `x_train`. Pictures are (n, height, width) or
    (n, height, width, channels), as Keras keeps them; y is a class number each, or 0 and 1 for each class,
    (n, classes), where a picture has several labels. Arrays of Python objects are refused, since reading them would
    run code from the file.
    """
    arrays = archive_of(argument)
    splits = {split: pair_of(arrays, names) for split, names in SPLITS.items()}
    train = splits["train"] or pair_of(arrays, ("",))
    if train is None:
        raise WrongUse(f"{argument} has no x_train and y_train; it holds {', '.join(sorted(arrays)) or 'nothing'}")
    return Arrays(train, splits["validation"], splits["test"], names_of(arrays))

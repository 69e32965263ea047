"""scikit-learn's embedded handwritten digits: 1,797 pictures of 8×8 pixels."""

import numpy as np

from evaluators.datasets.arrays import DATASETS, Arrays


@DATASETS.register("digits", source="Optical Recognition of Handwritten Digits (UCI Machine Learning Repository)")
def digits() -> Arrays:
    """scikit-learn's 8×8 handwritten digits; needs no file. A stratified fifth is the test split."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)
    return Arrays((images, found.target.astype(np.int64)), classes=tuple(map(str, range(10))), augmentation="shift")

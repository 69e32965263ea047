"""Data sets: one source per file, checked before a search starts, split into train, validation and test."""

from evaluators.datasets.arrays import DATASETS, Arrays
from evaluators.datasets.dataset import Augmentation, DataSet, Split, describe, found_out
from evaluators.datasets.feed import Feed, laid_out
from evaluators.datasets.loading import load

__all__ = [
    "DATASETS",
    "Arrays",
    "Augmentation",
    "DataSet",
    "Feed",
    "Split",
    "describe",
    "found_out",
    "laid_out",
    "load",
]

"""Tasks: what a data set asks of a network, one per file. Nobody else knows that there are classes, tokens or masks."""

from evaluators.tasks.classification import Classification
from evaluators.tasks.dense_prediction import DensePrediction
from evaluators.tasks.multi_label import MultiLabel
from evaluators.tasks.next_token import NextToken
from evaluators.tasks.regression import Regression
from evaluators.tasks.task import IGNORED, Kind, Tally, Task

__all__ = [
    "IGNORED",
    "Classification",
    "DensePrediction",
    "Kind",
    "MultiLabel",
    "NextToken",
    "Regression",
    "Tally",
    "Task",
]

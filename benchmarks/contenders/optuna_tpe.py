"""Optuna's multi-objective tree-structured Parzen estimator on our space, with our trainings."""

from pathlib import Path

from benchmarks.contenders.interface import Data, Trained
from benchmarks.contenders.optuna_nsga2 import searched


def run(data: Data, cpu_seconds: float, seed: int, folder: Path) -> list[Trained]:
    """The front that Optuna's TPE finds."""
    return searched("optuna:tpe", data, cpu_seconds, seed, folder)

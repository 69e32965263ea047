"""Optuna's NSGA-II on our space, each candidate trained by our default recipe for its fixed number of epochs."""

from pathlib import Path

from benchmarks.contenders.interface import ABLATIONS, Data, Trained
from benchmarks.contenders.studies import WORKERS, Commands


def run(data: Data, cpu_seconds: float, seed: int, folder: Path) -> list[Trained]:
    """The front that Optuna's NSGA-II finds."""
    return searched("optuna:nsga2", data, cpu_seconds, seed, folder)


def searched(controller: str, data: Data, cpu_seconds: float, seed: int, folder: Path) -> list[Trained]:
    """The front that one of Optuna's samplers finds without any plan of ours: one training of each candidate."""
    options = [*data.options, "--controller", controller, *_unplanned()]
    return Commands(folder).search("optuna", options, cpu_seconds / 60 / WORKERS, seed)


def _unplanned() -> list[str]:
    """What switches off all parts of a plan, where searches have one."""
    from archfront.settings import Settings

    return [f"--set=plan.{part}=false" for part in ABLATIONS] if "plan" in Settings.model_fields else []

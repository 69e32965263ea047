"""`archfront search` with its defaults: nothing is said but the data, the minutes, two workers and the seed."""

from pathlib import Path

from benchmarks.contenders.interface import ABLATIONS, Contender, Data, Trained
from benchmarks.contenders.studies import WORKERS, Commands


def run(data: Data, cpu_seconds: float, seed: int, folder: Path) -> list[Trained]:
    """The front of a search that plans its budget by itself."""
    return Commands(folder).search("archfront", data.options, cpu_seconds / 60 / WORKERS, seed)


def without(part: str) -> Contender:
    """The same search with one part of its plan switched off."""
    if part not in ABLATIONS:
        raise ValueError(f"nothing of a plan is named '{part}'; say one of {', '.join(ABLATIONS)}")

    def run_without(data: Data, cpu_seconds: float, seed: int, folder: Path) -> list[Trained]:
        options = [*data.options, f"--set=plan.{part}=false"]
        return Commands(folder).search("archfront", options, cpu_seconds / 60 / WORKERS, seed)

    return run_without

"""The supernet road: train all networks of the default space at once, search among them, train the best on."""

from pathlib import Path

from benchmarks.contenders.interface import Data, Trained
from benchmarks.contenders.studies import Commands
from benchmarks.cpu_meter import CpuMeter

TRAINING, SEARCH = 0.45, 0.15
"""Shares of the budget; what is left trains the finalists."""
FINALISTS = 3
LONGEST = 300
"""Epochs of a finalist at the most."""


def run(data: Data, cpu_seconds: float, seed: int, folder: Path) -> list[Trained]:
    """The finalists' front; each command runs on one core, so that its minutes are CPU-minutes."""
    commands, supernet = Commands(folder), str(folder.resolve() / "supernet")
    with CpuMeter() as meter:
        minutes = f"{TRAINING * cpu_seconds / 60:.4g}"
        commands.run("supernet", "train", "--to", supernet, *data.options, "--minutes", minutes, "--seed", str(seed))
        minutes = f"{SEARCH * cpu_seconds / 60:.4g}"
        budget = ["--study", "inherited", "--minutes", minutes, "--seed", str(seed)]
        commands.run("supernet", "search", supernet, *budget, *commands.db)
        before = meter.seconds
        _finalists(commands, "timed", 1)
        epochs = _affordable(cpu_seconds - meter.seconds, meter.seconds - before)
    _finalists(commands, "finalists", epochs)
    return commands.front("finalists")


def _finalists(commands: Commands, study: str, epochs: int) -> None:
    options = ["--top", str(FINALISTS), "--seeds", "1", "--epochs", str(epochs), "--fine-tune"]
    commands.run("supernet", "finalists", "inherited", *options, "--to-study", study, *commands.db)


def _affordable(left: float, used: float) -> int:
    """Epochs of each finalist that `left` CPU-seconds are enough for.

    One epoch of each, with all that surrounds the trainings, used `used` CPU-seconds. How much of that were the
    trainings is not known; a half is supposed.
    """
    epoch = max(0.1, 0.5 * used)
    return max(1, min(LONGEST, 1 + int((left - used) / epoch)))

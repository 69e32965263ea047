"""Fine-tuning from weights of other data against training from scratch, at equal compute, on pairs of data sets.

Of each source one network is trained from scratch; then, on each target, the same network is trained from scratch and
from those weights (`--start`), each by its own default recipe and for equally many epochs: as many as take
`--cpu-seconds` from scratch, counted on one epoch. Prints a table of test accuracy, mean and range over the seeds, and
the CPU-seconds that each took.

    ARCHFRONT_DATA=FOLDER python -m benchmarks.fine_tuning [--cpu-seconds 60] [--source-seconds 240] [--seeds 2]
"""

import argparse
import os
import time
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

from archfront.contracts import Context, Proposal
from evaluators.datasets import DataSet, load
from evaluators.training import TrainingEvaluator
from search_spaces import digest
from search_spaces.topologies import Timm

FILES = {
    "cifar10": "cifar10_subset_uint8.npz",
    "flowers17": "flowers17_16px_uint8.npz",
    "spoken digits": "fsdd_logmel32_uint8.npz",
    "sign digits": "sign_digits_64px_uint8.npz",
    "usps": "usps_16px_uint8.npz",
}
PAIRS = (
    ("cifar10", "flowers17"),
    ("cifar10", "sign digits"),
    ("cifar10", "spoken digits"),
    ("cifar10", "usps"),
    ("sign digits", "flowers17"),
    ("usps", "spoken digits"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu-seconds", type=float, default=60, help="of each training on a target")
    parser.add_argument("--source-seconds", type=float, default=240, help="of the training on a source")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--backbone", default="lcnet_050")
    parser.add_argument("--pairs", default="", help="numbers of pairs as they are listed in the file, from 0")
    parser.add_argument("--to", type=Path, help="keep the weights here, and take those that are there already")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the fine-tuning's recipe")
    given = parser.parse_args()
    network = Timm(given.backbone, stem_stride=1)
    pairs = [PAIRS[int(number)] for number in given.pairs.split(",")] if given.pairs else PAIRS
    tuned = dict(text.split("=", 1) for text in given.set)
    with TemporaryDirectory() as folder:
        runs = Runs(network, given.to or Path(folder))
        print("| from | to | epochs | from scratch | fine-tuned | CPU-seconds |\n|---|---|---|---|---|---|")
        for source, target in pairs:
            weights = runs.source(source, given.source_seconds)
            epochs = runs.epochs(target, given.cpu_seconds)
            rows = []
            for settings in ({}, {"start": str(weights), **numbers(tuned)}):
                rows.append([runs.trained(target, epochs, seed, settings) for seed in range(given.seeds)])
            said = [shown([accuracy for accuracy, _ in row]) for row in rows]
            took = " / ".join(f"{mean(seconds for _, seconds in row):.0f}" for row in rows)
            print(f"| {source} | {target} | {epochs} | {said[0]} | {said[1]} | {took} |", flush=True)


class Runs:
    """Trainings of one network, each in a folder of its own; what was trained or timed once isn't again."""

    def __init__(self, network: Timm, folder: Path) -> None:
        self.network, self.folder = network, folder
        self._paces: dict[str, float] = {}
        self._scratch: dict[tuple[str, int, int], tuple[float, float]] = {}

    def source(self, name: str, seconds: float) -> Path:
        """The folder with the weights of the network on a data set."""
        folder = self.folder / f"{name} {seconds:g} s"
        if not folder.exists():
            self._train(name, self.epochs(name, seconds), 0, {}, folder)
        return folder

    def epochs(self, name: str, seconds: float) -> int:
        """As many epochs as take so many CPU-seconds from scratch."""
        if name not in self._paces:
            self._paces[name] = self._train(name, 1, 0, {}, self.folder / f"one of {name}")[1]
        return max(3, round(seconds / self._paces[name]))

    def trained(self, name: str, epochs: int, seed: int, settings: dict[str, Any]) -> tuple[float, float]:
        """The accuracy on test data, and the CPU-seconds."""
        if settings:
            return self._train(name, epochs, seed, settings, self.folder / "tuned")
        key = name, epochs, seed
        if key not in self._scratch:
            self._scratch[key] = self._train(name, epochs, seed, {}, self.folder / "scratch")
        return self._scratch[key]

    def _train(self, name: str, epochs: int, seed: int, settings: dict[str, Any], folder: Path) -> tuple[float, float]:
        folder.mkdir(parents=True, exist_ok=True)
        data = data_of(name)
        evaluator = TrainingEvaluator(device="cpu", epochs=epochs, **settings)
        context = Context(folder, seed=seed, inputs=data.inputs, outputs=data.outputs, data=data)
        before = time.process_time()
        found = evaluator.evaluate(Proposal(self.network, digest(self.network)), context)
        return found.values["test_accuracy"], time.process_time() - before


def data_of(name: str) -> DataSet:
    return load(f"npz:{os.environ['ARCHFRONT_DATA']}/images/{FILES[name]}", seed=0)


def numbers(settings: dict[str, str]) -> dict[str, Any]:
    """Settings of a recipe, numbers read as such."""
    return {key: float(value) if value.replace(".", "").isdigit() else value for key, value in settings.items()}


def shown(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{mean(values):.3f}" + (f" ({low:.3f} to {high:.3f})" if high > low else "")


if __name__ == "__main__":
    main()

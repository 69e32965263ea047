"""How well each method's supernet ranks networks, all methods trained at equal cost.

A supernet of the reduced `mobile` or `hybrid` is trained by each method for the same CPU seconds (the steps follow from
a few timed ones; the seconds that it took are in the results), then ranks the networks that
`benchmarks.supernet_truth` trained from scratch. Trainings go on from their checkpoints, results are lines of a file.

    python -m benchmarks.supernet_ranking --space mobile [--methods sandwich,fair] [--cpu-seconds 240]
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.reduced_spaces import INPUTS, OUTPUTS, SPACES, data
from benchmarks.supernet_truth import TO, rows
from evaluators.datasets import DataSet
from evaluators.recipe import Recipe
from evaluators.supernet_training import SupernetTraining
from search_spaces import canonical
from search_spaces.weight_sharing import METHODS, Supernet, recalibrate

METHOD_SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "sandwich": ("sandwich", {}),
    "sandwich, alpha-divergence": ("sandwich", {"divergence": "alpha"}),
    "single path": ("single-path", {}),
    "fair": ("fair", {}),
    "delayed shrinking": ("delayed-shrinking", {}),
    "multi-architecture": ("multi-architecture", {}),
    "LayerDrop": ("layerdrop", {}),
    "Matryoshka": ("matryoshka", {}),
    "progressive shrinking": ("progressive-shrinking", {}),
}
RECIPE = {"epochs": 1, "batch_size": 64}
RECALIBRATION = 1024
"""Training pictures that batch normalization statistics are taken from."""


def main() -> None:
    """Train and rank by each method that isn't in the file yet."""
    arguments = parsed()
    torch.set_num_threads(1)
    file = arguments.to / f"ranking_{arguments.space}.jsonl"
    known = {(row["method"], row["budget_cpu_s"], row["seed"]) for row in rows(file)}
    for label in arguments.methods or METHOD_SETTINGS:
        if (label, arguments.cpu_seconds, arguments.seed) not in known:
            row = ranked(label, arguments)
            with file.open("a") as out:
                out.write(json.dumps(row) + "\n")
            print(f"{arguments.space} {label}: {row['steps']} steps, {row['cpu_s']:.0f} s", flush=True)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", choices=list(SPACES), required=True)
    parser.add_argument("--methods", type=lambda text: text.split(","), help="labels of METHOD_SETTINGS")
    parser.add_argument("--cpu-seconds", type=float, default=240.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", type=Path, default=TO)
    parser.add_argument("--work", type=Path, default=Path("build/supernets"), help="where the supernets are kept")
    return parser.parse_args()


def ranked(label: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One method's supernet, and what it says of every network of the truth."""
    dataset = data()
    training = made(label, arguments.space, arguments.cpu_seconds, arguments.seed, dataset)
    folder = arguments.work / f"{arguments.space}-{label.replace(' ', '_')}-{arguments.cpu_seconds:g}-{arguments.seed}"
    start = time.process_time()
    training.run(folder, every_s=120)
    spent = time.process_time() - start
    start = time.process_time()
    found = scores(training.supernet, dataset, arguments.to / f"truth_{arguments.space}.jsonl")
    return {
        "method": label,
        "budget_cpu_s": arguments.cpu_seconds,
        "seed": arguments.seed,
        "steps": training.steps,
        "cpu_s": round(spent, 1),
        "ranking_cpu_s": round(time.process_time() - start, 1),
        "scores": found,
    }


def made(label: str, space: str, cpu_s: float, seed: int, dataset: DataSet) -> SupernetTraining:
    """The training whose steps cost so many CPU seconds."""
    name, settings = METHOD_SETTINGS[label]

    def training(steps: int) -> SupernetTraining:
        transformed = name == "progressive-shrinking"
        supernet = Supernet(SPACES[space](), INPUTS, OUTPUTS, seed=seed, kernel_transformations=transformed)
        return SupernetTraining(supernet, dataset, Recipe(**RECIPE), METHODS.get(name)(**settings), seed, steps=steps)

    each = training(1000).estimate().cpu_seconds / 1000
    return training(max(10, round(cpu_s / each)))


def scores(supernet: Supernet, dataset: DataSet, truth: Path) -> dict[str, dict[str, float]]:
    """Accuracy and loss on the validation pictures with inherited weights, of every network of the truth."""
    images = dataset.normalized(dataset.train.images[:RECALIBRATION])
    wanted, labels = dataset.normalized(dataset.validation.images), dataset.validation.labels
    found: dict[str, dict[str, float]] = {}
    for row in rows(truth):
        if row["digest"] not in found:
            supernet.activate(canonical.from_json(json.loads(row["architecture"])))
            with torch.no_grad(), recalibrate(supernet, images.split(256)):
                supernet.eval()
                outputs = torch.cat([supernet(batch) for batch in wanted.split(500)])
            loss = float(torch.nn.functional.cross_entropy(outputs, labels))
            accuracy = float((outputs.argmax(1) == labels).float().mean())
            found[row["digest"]] = {"accuracy": accuracy, "loss": loss}
    return found


if __name__ == "__main__":
    main()

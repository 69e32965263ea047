"""How well each method's supernet ranks networks, all methods trained at equal cost.

A supernet of the reduced `mobile` or `hybrid` is trained by each method for the same CPU seconds (the steps follow from
a few timed ones; the seconds that it took are in the results), then ranks the networks that
`benchmarks.supernet_truth` trained from scratch. Trainings go on from their checkpoints, results are lines of a file.

    python -m benchmarks.supernet_ranking --space mobile [--methods sandwich,fair] [--cpu-seconds 240]
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.reduced_spaces import INPUTS, OUTPUTS, SPACES, data
from benchmarks.supernet_truth import TO, rows, sample
from evaluators.datasets import DataSet
from evaluators.inherited_weights import about_supernet
from evaluators.recipes.training import Recipe
from evaluators.supernet_estimate import estimate
from evaluators.supernet_training import SupernetTraining
from search_spaces.weight_sharing import METHODS, Supernet, recalibrate
from search_spaces.weight_sharing.few_shot import split

METHOD_SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "sandwich": ("sandwich", {}),
    "sandwich with alpha-divergence": ("sandwich", {"divergence": "alpha"}),
    "sandwich from labels": ("sandwich", {"labels": 1.0}),
    "single path": ("single-path", {}),
    "fair": ("fair", {}),
    "delayed shrinking": ("delayed-shrinking", {}),
    "multi-architecture": ("multi-architecture", {}),
    "LayerDrop": ("layerdrop", {}),
    "Matryoshka": ("matryoshka", {}),
    "progressive shrinking": ("progressive-shrinking", {}),
    "few-shot": ("sandwich", {}),
}
"""Few-shot spends half of its seconds on one supernet, and half on the two that this is then split into."""
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
    parser.add_argument("--networks", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", type=Path, default=TO)
    parser.add_argument("--work", type=Path, default=Path("build/supernets"), help="where the supernets are kept")
    return parser.parse_args()


def ranked(label: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One method's supernet, and what it says of every network of the truth."""
    dataset = data()
    folder = arguments.work / f"{arguments.space}-{label.replace(' ', '_')}-{arguments.cpu_seconds:g}-{arguments.seed}"
    phases = 2 if label == "few-shot" else 1
    spent, steps, supernet = 0.0, 0, None
    for phase in range(phases):
        training = made(
            label,
            arguments.space,
            arguments.cpu_seconds / phases,
            arguments.seed,
            dataset,
            supernet=supernet,
            folder=folder / str(phase),
        )
        spent, steps = spent + trained(training, folder / str(phase)), steps + training.steps
        supernet = split(training.supernet) if phase + 1 < phases else training.supernet
    assert supernet is not None
    start = time.process_time()
    found = scores(supernet, dataset, sample(supernet.space, arguments.networks))
    return {
        "method": label,
        "budget_cpu_s": arguments.cpu_seconds,
        "seed": arguments.seed,
        "steps": steps,
        "cpu_s": round(spent, 1),
        "ranking_cpu_s": round(time.process_time() - start, 1),
        "scores": found,
    }


def trained(training: SupernetTraining, folder: Path) -> float:
    """Train to the end; the CPU seconds that it took, those of runs that were stopped included."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "cpu_s.json"
    before = json.loads(file.read_text()) if file.exists() else 0.0
    start = time.process_time()

    def note(_: object) -> None:
        file.write_text(json.dumps(before + time.process_time() - start))

    training.run(folder, every_s=60, listener=note)
    note(None)
    return float(json.loads(file.read_text()))


def made(
    label: str,
    space: str,
    cpu_s: float,
    seed: int,
    dataset: DataSet,
    about: Mapping[str, Any] | None = None,
    supernet: Supernet | None = None,
    folder: Path | None = None,
) -> SupernetTraining:
    """The training, of a fresh supernet or of this one, whose steps cost so many CPU seconds.

    One that was begun in `folder` keeps the number of steps that it was found to have then.
    """
    name, settings = METHOD_SETTINGS[label]
    transformed = name == "progressive-shrinking"

    def training(steps: int) -> SupernetTraining:
        given = supernet or Supernet(SPACES[space](), INPUTS, OUTPUTS, seed=seed, kernel_transformations=transformed)
        method = METHODS.get(name)(**settings)
        return SupernetTraining(given, dataset, Recipe(**RECIPE), method, seed, about, steps=steps)

    if folder is not None and (folder / "checkpoints").exists():
        return training(int(about_supernet(folder)["steps"]))
    each = estimate(training(1000)).cpu_seconds / 1000
    return training(max(10, round(cpu_s / each)))


def scores(supernet: Supernet, dataset: DataSet, architectures: Sequence[Any]) -> dict[str, dict[str, float]]:
    """Accuracy and loss on the validation pictures with inherited weights, by digest."""
    images = dataset.prepared(dataset.train.inputs[:RECALIBRATION])
    wanted, labels = dataset.prepared(dataset.validation.inputs[:]), dataset.validation.targets
    found: dict[str, dict[str, float]] = {}
    for architecture in architectures:
        supernet.activate(architecture)
        with torch.no_grad(), recalibrate(supernet, images.split(256)):
            supernet.eval()
            outputs = torch.cat([supernet(batch) for batch in wanted.split(500)])
        loss = float(torch.nn.functional.cross_entropy(outputs, labels))
        accuracy = float((outputs.argmax(1) == labels).float().mean())
        found[supernet.space.digest(architecture)] = {"accuracy": accuracy, "loss": loss}
    return found


if __name__ == "__main__":
    main()

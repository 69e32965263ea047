"""How good the ready networks are after so many CPU-seconds of training, and the order that follows for a search.

    ARCHFRONT_DATA=FOLDER python -m benchmarks.portfolio measure --to LINES.jsonl [--seconds 60] [--seeds 3]
        [--sets cifar10,usps] [--networks lcnet-0.5,vit-96]
    python -m benchmarks.portfolio order --of LINES.jsonl

`measure` trains each of `search_spaces.portfolio.CANDIDATES` on each development set, from scratch, by the recipe that
suits the set, on one core, for as many epochs as fit into the CPU-seconds, and adds one line of JSON per (network, set,
seed): accuracy on validation data, CPU-seconds per epoch, multiply-accumulates, parameters, latency by ONNX Runtime on
this host. What has a line isn't done again, so it goes on where it was stopped. `order` writes the order into
`search_spaces/portfolio.json`, and that which is left without each of the sets.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from typing import Any

from archfront.contracts import Context, Proposal
from evaluators.datasets import DataSet, load
from evaluators.training import TrainingEvaluator
from hardware_profiles.device_profile import profile as find_profile
from hardware_profiles.measuring import Timer, measure
from search_spaces.building import build
from search_spaces.canonical import digest
from search_spaces.counting import count
from search_spaces.portfolio import CANDIDATES, FIGURES

SETS: dict[str, tuple[str, dict[str, Any]]] = {
    "cifar10": ("npz:{}/images/cifar10_subset_uint8.npz", {}),
    "flowers17": ("npz:{}/images/flowers17_16px_uint8.npz", {}),
    "sign_digits": ("npz:{}/images/sign_digits_64px_uint8.npz", {}),
    "usps": ("npz:{}/images/usps_16px_uint8.npz", {}),
    "spoken_digits": ("npz:{}/images/fsdd_logmel32_uint8.npz", {}),
    "ants_bees": ("folder:{}/photos/ants_bees", {"size": 128, "skip_unreadable": True}),
}
"""The development sets: what `load` takes, below the folder `ARCHFRONT_DATA`."""
LIMITS = 24
"""Latency limits, equally far apart in their logarithms, at which an order must have something."""
PROBED = 3
"""Epochs of the second of two short trainings, by which one learns what an epoch takes."""

Line = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True)
    measured = steps.add_parser("measure")
    measured.add_argument("--to", type=Path, required=True)
    measured.add_argument("--seconds", type=float, default=60.0, help="CPU-seconds of each training")
    measured.add_argument("--seeds", type=int, default=3)
    measured.add_argument("--sets", default=",".join(SETS))
    measured.add_argument("--networks", default=",".join(CANDIDATES))
    ordered = steps.add_parser("order")
    ordered.add_argument("--of", type=Path, required=True)
    ordered.add_argument("--to", type=Path, default=FIGURES)
    given = parser.parse_args()
    if given.step == "order":
        write(read(given.of), given.to)
        return
    for seed in range(given.seeds):
        for name in given.sets.split(","):
            data = load(SETS[name][0].format(os.environ["ARCHFRONT_DATA"]), **SETS[name][1])
            for network in given.networks.split(","):
                one(given.to, name, data, network, seed, given.seconds)


def read(path: Path) -> list[Line]:
    """The lines so far."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def one(path: Path, name: str, data: DataSet, network: str, seed: int, seconds: float) -> None:
    """Add the line of one training, unless it is there."""
    lines = [line for line in read(path) if (line["set"], line["network"]) == (name, network)]
    if any((line["seed"], line["seconds"]) == (seed, seconds) for line in lines):
        return
    architecture = CANDIDATES[network](data.inputs)
    fixed = {key: lines[0][key] for key in ("macs", "params", "latency_ms")} if lines else cost(architecture, data)
    per_epoch = lines[0]["cpu_s_per_epoch"] if lines else probed(architecture, data)
    epochs = max(1, int(seconds / per_epoch))
    found, spent = trained(architecture, data, epochs, seed)
    line = {"set": name, "network": network, "seed": seed, "seconds": seconds, "epochs": epochs}
    line |= {"accuracy": found, "cpu_s": round(spent, 2), "cpu_s_per_epoch": round(per_epoch, 4), **fixed}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line), flush=True)


def trained(architecture: Any, data: DataSet, epochs: int, seed: int) -> tuple[float, float]:
    """Accuracy on validation data, and the CPU-seconds that it took, evaluation included."""
    evaluator, proposal = TrainingEvaluator(device="cpu", epochs=epochs), Proposal(architecture, digest(architecture))
    with tempfile.TemporaryDirectory(prefix="portfolio-") as folder:
        begun = time.process_time()
        context = Context(Path(folder), seed, 1, data.inputs, data.outputs, data)
        found = evaluator.evaluate(proposal, context)
        return found.values[data.task.measures[0]], time.process_time() - begun


def probed(architecture: Any, data: DataSet) -> float:
    """The CPU-seconds of an epoch: what a few take more than one."""
    once, often = (trained(architecture, data, epochs, 0)[1] for epochs in (1, PROBED))
    return max((often - once) / (PROBED - 1), often / 100)


def cost(architecture: Any, data: DataSet) -> Line:
    """What a network takes on this host, once it is deployed."""
    network = build(architecture, data.inputs, data.outputs, seed=0).eval()
    counted, profile = count(network, data.inputs), replace(find_profile("host"), pauses_s=())
    with Timer(profile) as timer:
        took = measure(network, data.inputs, profile, timer)
    values = {metric.name.partition("@")[0]: metric.value for metric in took.metrics()}
    return {"macs": counted.macs, "params": counted.params, "latency_ms": values["latency_ms"]}


@dataclass(frozen=True)
class Found:
    """What is known of a network on a set: the mean accuracy over the seeds, the median latency."""

    accuracy: float
    latency_ms: float


Figures = dict[str, dict[str, Found]]
"""By set, then by network."""


def figures(lines: Iterable[Line]) -> Figures:
    """The lines, gathered over the seeds; of several budgets the largest that a set has counts."""
    lines = list(lines)
    most = {line["set"]: max(other["seconds"] for other in lines if other["set"] == line["set"]) for line in lines}
    gathered: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        if line["seconds"] == most[line["set"]]:
            gathered.setdefault((line["set"], line["network"]), []).append(line)
    found: Figures = {}
    for (name, network), own in gathered.items():
        accuracy = statistics.fmean(line["accuracy"] for line in own)
        latency = statistics.median(line["latency_ms"] for line in own)
        found.setdefault(name, {})[network] = Found(accuracy, latency)
    return found


def covered(of: dict[str, Found], chosen: Sequence[str]) -> float:
    """The mean over latency limits of the best accuracy within each, as a share of the best of all within it."""
    latencies = [one.latency_ms for one in of.values()]
    low, high = log(min(latencies)), log(max(latencies))
    total = 0.0
    for place in range(LIMITS):
        limit = low + (high - low) * place / (LIMITS - 1) + 1e-9
        within = {name: one.accuracy for name, one in of.items() if log(one.latency_ms) <= limit}
        total += max((within[name] for name in chosen if name in within), default=0.0) / max(within.values())
    return total / LIMITS


def greedy(found: Figures) -> list[str]:
    """All networks that every set has, each one the one that adds most to what those before it cover, on average."""
    left = sorted(set.intersection(*(set(of) for of in found.values())))
    order: list[str] = []
    while left:

        def worth(name: str) -> tuple[float, float]:
            gained = [covered(of, [*order, name]) for of in found.values()]
            # Where nothing is gained any more, the more accurate one comes first.
            return round(statistics.fmean(gained), 6), statistics.fmean(of[name].accuracy for of in found.values())

        order.append(max(left, key=worth))
        left.remove(order[-1])
    return order


def write(lines: Sequence[Line], path: Path) -> None:
    """The order by all sets, that without each of them, and the figures."""
    found = figures(lines)
    without = [
        {"sets": [name], "order": greedy({other: of for other, of in found.items() if other != name})}
        for name in sorted(found)
        if len(found) > 1
    ]
    rows = [
        {"set": name, "network": network, "accuracy": round(one.accuracy, 4), "latency_ms": round(one.latency_ms, 4)}
        for name, of in sorted(found.items())
        for network, one in sorted(of.items())
    ]
    seconds = sorted({line["seconds"] for line in lines})
    note = f"Written by benchmarks/portfolio.py: validation accuracy after {seconds} CPU-seconds, latency on one host."
    value = {"note": note, "order": greedy(found), "without": without, "figures": rows}
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {', '.join(value['order'])}")


if __name__ == "__main__":
    main()

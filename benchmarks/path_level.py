"""Path-level edits on a CIFAR-10 subset: do outputs stay, and how soon does a child reach its parent's accuracy?

A parent is trained from scratch. Each child, an edit away from it, is trained for a third of the epochs: on from the
parent's weights, and from scratch. Every training is a line of a file, so a run that was stopped goes on where it was.

    python -m benchmarks.path_level cifar10_subset_uint8.npz [--epochs 9] [--seeds 2] [--to docs/benchmarks/path_level]
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from archfront.contracts import Context, Evaluation, Proposal
from benchmarks.supernet_truth import rows
from evaluators import checkpoints
from evaluators.base import attempt
from evaluators.datasets import DataSet, load
from evaluators.training import TrainingEvaluator
from search_spaces.blocks import MLP, Block, Conv3x3Stem, DepthwiseConv
from search_spaces.building import build
from search_spaces.canonical import digest
from search_spaces.edits import Edit, EnlargeKernel, InsertIdentity, Replicate, Split
from search_spaces.edits.weights import apply
from search_spaces.topologies import Network, Stage

BLOCK = Block(DepthwiseConv(3), MLP(2))
PARENT = Network(Conv3x3Stem(2), (Stage(16, (BLOCK, BLOCK)), Stage(32, (BLOCK, BLOCK), "conv")))
FIRST, SECOND = "stages.0.blocks.{}.token_mixer", "stages.1.blocks.{}.token_mixer"
EDITS: tuple[Edit, ...] = (
    Replicate(SECOND.format(0), 2),
    Split(FIRST.format(1), 2),
    EnlargeKernel(SECOND.format(1), 5),
    InsertIdentity(FIRST.format(0)),
)
CHILDREN: dict[str, tuple[Edit, ...]] = {edit.name: (edit,) for edit in EDITS} | {"all four": EDITS, "no edit": ()}
"""The last shows what further epochs are worth by themselves."""
Key = tuple[str, str, int, int]
"""A training: the network, how it starts, epochs, seed."""
TOLERANCE = 1e-5
IMAGES = 256
"""Validation images that outputs are compared on."""


def main() -> None:
    """Train and compare what isn't in the file yet, then write the tables."""
    arguments = parsed()
    torch.set_num_threads(1)
    arguments.to.mkdir(parents=True, exist_ok=True)
    data = load(f"npz:{arguments.data}", seed=0)
    file = arguments.to / "trainings.jsonl"
    for key in wanted(arguments.epochs, arguments.seeds):
        # Parents are trained again where their weights are gone, and give the same.
        gone = key[0] == "parent" and not weights(arguments, key[-1]).exists()
        if gone or key not in trainings(file):
            row = trained(*key, arguments, data)
            with file.open("a") as out:
                out.write(json.dumps(row) + "\n")
            print(*key, row["accuracy"], f"{row['cpu_s']} s", flush=True)
    known = trainings(file)
    done = [known[key] for key in wanted(arguments.epochs, arguments.seeds)]
    found = {"epochs": arguments.epochs, "kept": kept(arguments, data), "trainings": done}
    (arguments.to / "path_level.json").write_text(json.dumps(found, indent=1) + "\n")
    page = "\n".join(tables(found)) + "\n"
    (arguments.to / "path_level.md").write_text(page)
    print(page)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--to", type=Path, default=Path("docs/benchmarks/path_level"))
    parser.add_argument("--work", type=Path, default=Path("path_level_weights"), help="where the weights are kept")
    return parser.parse_args()


def trainings(file: Path) -> dict[Key, dict[str, Any]]:
    """The trainings in the file, by what they are of."""
    return {(row["network"], row["start"], row["epochs"], row["seed"]): row for row in rows(file)}


def wanted(epochs: int, seeds: int) -> Iterator[Key]:
    """Network, how it starts, epochs and seed of each training, parents first."""
    for seed in range(seeds):
        yield "parent", "scratch", epochs, seed
        for name in CHILDREN:
            yield from ((name, start, epochs // 3, seed) for start in ("inherited", "scratch"))


def child(name: str) -> Any:
    """The architecture that the edits lead to."""
    architecture: Any = PARENT
    for edit in CHILDREN.get(name, ()):
        architecture = edit.applied(architecture)
    return architecture


def trained(
    network: str, start: str, epochs: int, seed: int, arguments: argparse.Namespace, data: DataSet
) -> dict[str, Any]:
    """One training, with a learning rate that falls over its own epochs."""
    architecture = child(network)
    proposal = Proposal(architecture, digest(architecture))
    parents = (weights(arguments, seed),) if start == "inherited" else ()
    folder = arguments.work / f"{network.replace(' ', '_')}-{start}-{epochs}-{seed}"
    context = Context(folder, seed, 1, data.inputs, data.outputs, data, parents=parents)
    inherit = "parent" if parents else ""
    begun = time.process_time()
    found: Evaluation = attempt(TrainingEvaluator(device="cpu", epochs=epochs, inherit=inherit), proposal, context)
    protocol = found.metrics[0].provenance.protocol if found.metrics else found.reason
    return {
        "network": network,
        "start": start,
        "epochs": epochs,
        "seed": seed,
        "accuracy": found.values.get("accuracy"),
        "test_accuracy": found.values.get("test_accuracy"),
        "params": sum(p.numel() for p in build(architecture, data.inputs, data.outputs, 0).parameters()),
        "protocol": protocol,
        "cpu_s": round(time.process_time() - begun, 1),
    }


def weights(arguments: argparse.Namespace, seed: int) -> Path:
    """The file of the trained parent's weights."""
    folder = arguments.work / f"parent-scratch-{arguments.epochs}-{seed}" / checkpoints.FOLDER
    return folder / f"{digest(PARENT)}-{arguments.epochs}{checkpoints.SUFFIX}"


def kept(arguments: argparse.Namespace, data: DataSet) -> list[dict[str, Any]]:
    """How far each child's outputs are from its trained parent's before it is trained, on real images."""
    images = data.prepared(data.validation.inputs[:IMAGES])
    found = []
    for seed in range(arguments.seeds):
        first, _ = checkpoints.load(weights(arguments, seed))
        expected = outputs(PARENT, first, images, data)
        for name, edits in CHILDREN.items():
            architecture, state = PARENT, first
            for edit in edits:
                edited = apply(edit, architecture, state, data.inputs, data.outputs, seed)
                architecture, state = edited.architecture, edited.state
            off = (outputs(architecture, state, images, data) - expected).abs().max().item()
            found.append({"network": name, "seed": seed, "off": off, "range": expected.abs().max().item()})
    return found


def outputs(architecture: Any, state: dict[str, Tensor], images: Tensor, data: DataSet) -> Tensor:
    """What the network gives for the images."""
    model = build(architecture, data.inputs, data.outputs, 0)
    model.load_state_dict(state)
    with torch.no_grad():
        return model.eval()(images)


def tables(found: dict[str, Any]) -> Iterator[str]:
    """The results in Markdown, with what they say of the two claims."""
    epochs, third = found["epochs"], found["epochs"] // 3
    accuracy: dict[tuple[str, str, int], list[float]] = {}
    for row in found["trainings"]:
        accuracy.setdefault((row["network"], row["start"], row["epochs"]), []).append(row["accuracy"])
    parents = accuracy["parent", "scratch", epochs]
    yield f"Parent from scratch, {epochs} epochs: {shown(parents)}, mean {mean(parents):.4f}.\n"
    yield f"| child | outputs off by | {third} epochs on | {third} from scratch | as good as its parent |"
    yield "|---|---|---|---|---|"
    reached = 0
    for name in CHILDREN:
        off = max(row["off"] / max(1.0, row["range"]) for row in found["kept"] if row["network"] == name)
        inherited, scratch = (accuracy[name, start, third] for start in ("inherited", "scratch"))
        count = sum(own >= other for own, other in zip(inherited, parents, strict=True))
        reached += count if CHILDREN[name] else 0
        yield f"| {name} | {off:.1e} | {shown(inherited)} | {shown(scratch)} | {count} of {len(parents)} |"
    worst = max(row["off"] / max(1.0, row["range"]) for row in found["kept"])
    yield f"\nLargest difference of outputs: {worst:.1e} of their range (allowed: {TOLERANCE:.0e})."
    yield f"Reached the parent's accuracy in {third} epochs: {reached} of {(len(CHILDREN) - 1) * len(parents)}."
    seconds = sum(row["cpu_s"] for row in found["trainings"])
    yield f"All trainings together: {seconds / 60:.1f} CPU minutes."


def shown(values: list[float]) -> str:
    """Accuracies of several seeds."""
    return ", ".join(f"{value:.4f}" for value in values)


if __name__ == "__main__":
    main()

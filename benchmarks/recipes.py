"""What recipes make of one network for equal epochs: accuracy, and seconds, on the digits and on CIFAR-10's subset.

python -m benchmarks.recipes --epochs 8 --seeds 2
python -m benchmarks.recipes --data npz:FOLDER/images/cifar10_subset_uint8.npz --train 2000 --epochs 12 --seeds 2
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from archfront.contracts import Context, Proposal
from evaluators.base import attempt, create
from evaluators.datasets import DataSet, load
from search_spaces.blocks import Block, Conv3x3Stem, DepthwiseConv
from search_spaces.topologies import Network, Stage

RECIPES: dict[str, dict[str, Any]] = {
    "default": {},
    "sgd": {"optimizer": "sgd", "lr": 0.05},
    "lion": {"optimizer": "lion"},
    "lamb": {"optimizer": "lamb"},
    "muon": {"optimizer": "muon"},
    "one_cycle": {"schedule": "one_cycle"},
    "warmup_stable_decay": {"schedule": "warmup_stable_decay"},
    "binary": {"loss": "binary"},
    "focal": {"loss": "focal"},
    "mixup": {"augmentations": "mixup"},
    "cutmix": {"augmentations": "cutmix"},
    "crop": {"augmentations": "crop"},
    "trivial_augment": {"augmentations": "trivial_augment"},
    "rand_augment": {"augmentations": "rand_augment"},
    "random_erasing": {"augmentations": "random_erasing"},
    "ema": {"averaging": "ema"},
    "stochastic_depth": {"regularisers": "stochastic_depth"},
    "dropout": {"regularisers": "dropout"},
    "layer_wise": {"learning": "layer_wise"},
    "progressive_resolution": {"phases": "progressive_resolution"},
    "rotation_prediction": {"phases": "rotation_prediction"},
    "muon+ema+one_cycle": {"optimizer": "muon", "averaging": "ema", "schedule": "one_cycle"},
}


def network(side: int) -> Network:
    """A small staged network."""
    block = Block(DepthwiseConv(5), "mlp")
    stages = (Stage(24, (block, block), None), Stage(48, (block, block)))
    return Network(Conv3x3Stem(stride=1 if side < 16 else 2), stages)


def measured(data: DataSet, settings: dict[str, Any], seed: int) -> tuple[float, float, float]:
    """Accuracy on test data, its validation loss, and the seconds of one training."""
    with tempfile.TemporaryDirectory() as folder:
        context = Context(
            Path(folder), seed, torch.get_num_threads(), inputs=data.inputs, outputs=data.outputs, data=data
        )
        start = time.perf_counter()
        found = attempt(create("training", settings), Proposal(network(data.inputs[-1]), "fixed"), context)
        seconds = time.perf_counter() - start
    if not found.metrics:
        raise SystemExit(f"{settings}: {found.reason}")
    return found.values["test_accuracy"], found.values["loss"], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--train", type=int, default=0, help="so many training examples (0: all)")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", default="", help="names of recipes, with commas between")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = load(arguments.data)
    if arguments.train:
        split = data.train._replace(
            inputs=data.train.inputs[: arguments.train], targets=data.train.targets[: arguments.train]
        )
        data = replace(data, train=split)
    print(f"{data.name}: {data.train.size:,} training examples, {arguments.epochs} epochs, {arguments.seeds} seeds\n")
    print("| recipe | test accuracy | lowest – highest | validation loss | seconds |\n|---|---|---|---|---|")
    for name in arguments.only.split(",") if arguments.only else RECIPES:
        settings = {"epochs": arguments.epochs, **RECIPES[name]}
        runs = [measured(data, settings, seed) for seed in range(arguments.seeds)]
        shares = [run[0] for run in runs]
        lowest, highest = f"{min(shares):.1%}", f"{max(shares):.1%}"
        rest = f"{mean(run[1] for run in runs):.3f} | {mean(run[2] for run in runs):.1f}"
        print(f"| {name} | {mean(shares):.1%} | {lowest} – {highest} | {rest} |", flush=True)


if __name__ == "__main__":
    main()

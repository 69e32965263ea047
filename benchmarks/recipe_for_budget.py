"""What recipes make of a network in equal seconds of a processor: accuracy on validation data, one line of JSON a run.

python -m benchmarks.recipe_for_budget --data npz:FOLDER/images/cifar10_subset_uint8.npz --seconds 40 --seeds 2 \
    --network resnet timm:lcnet_050 --recipe 'lr=0.005' 'lr=0.005 schedule=one_cycle averaging=ema(decay=0.99)'
python -m benchmarks.recipe_for_budget --table recipes.jsonl

A training ends when its seconds (of the process, augmentation counted, the final test not) are used up: the share of
them that is gone says where in its schedule a step is, as a search's deadline does. Runs that stand in the file already
aren't repeated, so that a benchmark which was stopped goes on.
"""

import argparse
import json
import time
from collections import defaultdict
from contextlib import nullcontext
from pathlib import Path
from statistics import mean
from typing import Any

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)

import timm
import torch
from torch import Tensor, nn

from archfront.contracts import Context, Proposal
from evaluators.candidate_training import Training
from evaluators.datasets import DataSet, Feed, load
from evaluators.depthwise_convolution import fast_gradients
from evaluators.recipe import default_recipe
from evaluators.recipes._slots import setting
from evaluators.tested import EVALUATION_BATCH, tested
from search_spaces.blocks import Block, Conv3x3Stem
from search_spaces.building import build
from search_spaces.spaces import SPACES
from search_spaces.topologies import Network, Stage

STAND_IN = Network(Conv3x3Stem(stride=1), (Stage(8, (Block("pool", "mlp"),), None),))
"""Named in proposals of networks that are none of ours."""


class Residual(nn.Module):
    """Two dense convolutions and a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(inputs, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))
        pool = nn.AvgPool2d(2, ceil_mode=True) if stride > 1 else nn.Identity()
        same = stride == 1 and inputs == width
        join = nn.Sequential(pool, nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width))
        self.shortcut: nn.Module = nn.Identity() if same else join

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.shortcut(x) + self.second(self.first(x)))


def resnet(data: DataSet, width: int = 16, depth: int = 1, stem: int = 1, stages: int = 3) -> nn.Module:
    """A residual network of dense convolutions; each stage halves the map and doubles the width."""
    layers: list[nn.Module] = [
        nn.Conv2d(data.inputs[0], width, 3, stem, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]
    before = width
    for stage in range(stages):
        for number in range(depth):
            layers.append(Residual(before, width * 2**stage, 2 if stage and not number else 1))
            before = width * 2**stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, data.outputs))


def network(name: str, data: DataSet, seed: int) -> nn.Module:
    """`timm:NAME`, `SPACE#SAMPLE`, or `resnet` with `width=`, `depth=`, `stem=` and `stages=` in brackets."""
    torch.manual_seed(seed)
    if name.startswith("timm:"):
        return timm.create_model(name[5:], num_classes=data.outputs, in_chans=data.inputs[0])
    if "#" in name:
        space, _, sample = name.partition("#")
        tree = SPACES.get(space)(inputs=data.inputs, examples=data.train.size).sample(int(sample))
        return build(tree, data.inputs, data.outputs, seed)
    settings = (item.partition("=") for item in name.partition("(")[2].rstrip(")").split(",") if item)
    return resnet(data, **{key: int(value) for key, _, value in settings})


def settings_of(text: str) -> dict[str, Any]:
    """The fields of a recipe, `KEY=VALUE` with blanks between."""
    found: dict[str, Any] = {}
    for item in text.split():
        key, _, value = item.partition("=")
        found[key] = value if "(" in value or "+" in value or value == "none" else setting(value, key)
    return found


def run(data: DataSet, name: str, text: str, seconds: float, seed: int) -> dict[str, Any]:
    """One training, as a line of the file."""
    recipe = default_recipe(data, **settings_of(text))
    context = Context(Path(), seed, torch.get_num_threads(), inputs=data.inputs, outputs=data.outputs, data=data)
    training = Training(network(name, data, seed), recipe, data, "cpu", Proposal(STAND_IN, "none"), context)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]), fast_gradients(training.model):
        torch.manual_seed(seed)
        steps = trained(training, seconds, generator)
    with training.averaged.in_place(training.model) if training.averaged else nullcontext():
        tallies = [
            tested(training.model, Feed(data, part).batches(EVALUATION_BATCH), data.task)
            for part in (data.validation, data.test)
        ]
    found = [tally.metrics(None, "")[0].value for tally in tallies]  # type: ignore[arg-type]
    return {"accuracy": found[0], "test": found[1], "steps": steps, "epochs": steps / training.batches}


def trained(training: Training, seconds: float, generator: torch.Generator) -> int:
    """Train for some seconds of the process; the number of steps."""
    training.model.train()
    taken, began = 0, time.process_time()
    while True:
        order = torch.randperm(training.dataset.train.size, generator=generator)
        examples = training.feed.in_order(order[: training.batches * training.batch], training.batch)
        for inputs, targets in examples:
            share = (time.process_time() - began) / seconds
            if share >= 1:
                return taken
            # As many steps in all as there will be at the pace so far; the first ones say little of it.
            steps = round((taken + 1) / max(share, 0.002))
            training.pace.set(training.optimizer, taken, steps)
            training._step(inputs, targets, taken, steps, generator)
            taken += 1


def table(path: Path) -> None:
    """Means over seeds, by data, seconds and network, the best recipe first."""
    rows: dict[tuple[str, float, str], dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        rows[line["data"], line["seconds"], line["network"]][line["recipe"]].append(line)
    for (data, seconds, name), recipes in sorted(rows.items()):
        print(
            f"\n{data}, {seconds:g} s, {name}\n\n| recipe | validation | test | epochs | runs |\n|---|---|---|---|---|"
        )
        means = {
            key: [mean(run[what] for run in runs) for what in ("accuracy", "test", "epochs")]
            for key, runs in recipes.items()
        }
        for key in sorted(means, key=lambda key: -means[key][0]):
            accuracy, test, epochs = means[key]
            print(f"| {key or 'default'} | {accuracy:.1%} | {test:.1%} | {epochs:.1f} | {len(recipes[key])} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["digits"])
    parser.add_argument("--size", type=int, default=0, help="pixels of a folder's pictures")
    parser.add_argument("--network", nargs="+", default=["resnet"])
    parser.add_argument("--recipe", nargs="+", default=[""], help="fields of a recipe, with blanks between")
    parser.add_argument("--seconds", type=float, nargs="+", default=[20.0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--to", type=Path, default=Path("recipes.jsonl"))
    parser.add_argument("--table", type=Path, help="print what a file holds, and do nothing else")
    arguments = parser.parse_args()
    if arguments.table:
        return table(arguments.table)
    torch.set_num_threads(1)
    done = set()
    if arguments.to.exists():
        lines = map(json.loads, arguments.to.read_text(encoding="utf-8").splitlines())
        done = {tuple(line[key] for key in ("data", "seconds", "network", "recipe", "seed")) for line in lines}
    sets = {source: load(source, **({"size": arguments.size} if arguments.size else {})) for source in arguments.data}
    for seed in range(arguments.seeds):
        for seconds in arguments.seconds:
            for source, data in sets.items():
                for name in arguments.network:
                    for text in arguments.recipe:
                        key = (Path(source.rpartition(":")[2]).stem, seconds, name, text, seed)
                        if key in done:
                            continue
                        found = run(data, name, text, seconds, seed)
                        about = dict(zip(("data", "seconds", "network", "recipe", "seed"), key, strict=True))
                        with arguments.to.open("a", encoding="utf-8") as file:
                            file.write(json.dumps({**about, **found}) + "\n")


if __name__ == "__main__":
    main()

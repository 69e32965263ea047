"""Dropping blocks that change little."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from archfront.finishing import Finisher, Given, Product
from archfront.finishing._contract import check_count
from evaluators.datasets import DataSet, Feed
from evaluators.tested import EVALUATION_BATCH
from search_spaces.edits.edit import blocks_at, put
from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part, size


@part("finisher", "block_drop", source="The Unreasonable Ineffectiveness of the Deeper Layers")
class BlockDrop(Finisher):
    """Drops the run of `blocks` blocks of a stage whose input and output are most alike, then heals by training.

    How alike is the angular distance of the two, arccos of their cosine by pi, of the channels at each position and
    averaged over these and over training `examples`. At least one block of a stage stays; stages are looked at whose
    blocks are in a chain. `epochs` of healing are a third of a training's where nothing is said.
    """

    blocks: int = size("depth", default=1)
    examples: int = 512
    epochs: int | None = None

    def validate(self) -> None:
        check_count(self.blocks, "block_drop.blocks", 1)
        check_count(self.examples, "block_drop.examples", 1)
        check_count(self.epochs, "block_drop.epochs", 0, optional=True)

    def finish(self, given: Given) -> Product:
        runs = distances(given.network(), given.architecture, self.blocks, given.data, self.examples)
        if not runs:
            raise SpaceError(
                f"block_drop: no stage has a chain of more than {self.blocks} block(s) of one shape to drop "
                f"{self.blocks} of; take fewer blocks, or another candidate"
            )
        least = min(runs, key=lambda run: run.distance)
        architecture, state = dropped(given.architecture, given.state, least)
        given.network(architecture, state)
        healed = given.heal(architecture, state, given.epochs(self.epochs))
        return Product(architecture, healed, str(least))


@dataclass(frozen=True)
class Run:
    """Blocks `start` to before `end` of the stage number `stage`, which the network holds at `path`."""

    stage: int
    start: int
    end: int
    path: str
    distance: float = 0.0

    def __str__(self) -> str:
        which = f"block {self.start}" if self.end - self.start == 1 else f"blocks {self.start} to {self.end - 1}"
        return f"dropped {which} of stage {self.stage}, angular distance {self.distance:.3f}"


def distances(network: nn.Module, architecture: Any, count: int, data: DataSet, examples: int) -> list[Run]:
    """Every run of `count` blocks that can be dropped, with the distance of its output from its input."""
    runs = list(_runs(network, architecture, count))
    if not runs:
        return []
    modules = dict(network.named_modules())
    maps: dict[nn.Module, tuple[Tensor, Tensor]] = {}
    ends = {modules[f"{run.path}.{place}"] for run in runs for place in (run.start, run.end - 1)}
    handles = [
        one.register_forward_hook(lambda module, given, out: maps.update({module: (given[0], out)})) for one in ends
    ]
    totals: dict[Run, float] = dict.fromkeys(runs, 0.0)
    seen = 0
    step = max(1, data.train.size // examples)
    chosen = torch.arange(0, data.train.size, step)[:examples]
    feed = Feed(data, data.train)
    try:
        for part_of in chosen.split(EVALUATION_BATCH):
            inputs, _ = feed.take(part_of)
            with torch.inference_mode():
                network(inputs)
            seen += len(part_of)
            for run in list(totals):
                before = maps[modules[f"{run.path}.{run.start}"]][0]
                after = maps[modules[f"{run.path}.{run.end - 1}"]][1]
                if before.shape != after.shape:
                    del totals[run]
                    continue
                totals[run] += float(angular(before, after).sum())
    finally:
        for handle in handles:
            handle.remove()
    return [replace(run, distance=total / seen) for run, total in totals.items()]


def angular(before: Tensor, after: Tensor) -> Tensor:
    """The angular distance, 0 to 1, of maps (n, channels, *sides) channel vector by channel vector: (n,) means."""
    cosine = functional.cosine_similarity(before.double(), after.double(), dim=1).clamp(-1, 1)
    return (cosine.arccos() / pi).flatten(1).mean(1) if cosine.ndim > 1 else cosine.arccos() / pi


def _runs(network: nn.Module, architecture: Any, count: int) -> Iterator[Run]:
    stages, inner = getattr(architecture, "stages", None), getattr(network, "stages", None)
    if not isinstance(stages, tuple) or inner is None:
        raise SpaceError(f"block_drop: '{architecture.name}' is no network of stages of blocks; take another candidate")
    names = {module: name for name, module in network.named_modules()}
    # What wires stages other than one after another holds them as `blocks`.
    for number, module in enumerate(getattr(inner, "blocks", inner)):
        try:
            blocks = blocks_at(architecture, f"stages.{number}")
        except SpaceError:
            continue  # Its wiring would compute something else with fewer blocks.
        # One block stays, so that the stage is still one of its design.
        for start in range(len(blocks) - count + 1 if len(blocks) > count else 0):
            yield Run(number, start, start + count, names[module.blocks])


def dropped(architecture: Any, state: Mapping[str, Tensor], run: Run) -> tuple[Part, dict[str, Tensor]]:
    """The network without the run's blocks, and the weights of all that is left."""
    path = f"stages.{run.stage}"
    blocks = blocks_at(architecture, path)
    left = put(architecture, f"{path}.blocks", (*blocks[: run.start], *blocks[run.end :]))
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        place, dot, rest = name.removeprefix(f"{run.path}.").partition(".")
        if not name.startswith(f"{run.path}.") or int(place) < run.start:
            found[name] = tensor
        elif int(place) >= run.end:
            found[f"{run.path}.{int(place) - (run.end - run.start)}{dot}{rest}"] = tensor
    return left, found

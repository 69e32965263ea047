"""Training from data that are larger than memory, beside training from data that are held in it.

Makes pictures on the spot, reads them into the cache (in a folder of its own, removed afterwards), and trains one
network on random ones of them, in turns with as many that are held in memory:

    python benchmarks/large_data.py --gb 8

The speeds are medians over the turns, their ratio is that of the two trainings of a turn. Memory is what processes
have in private pages (USS), and with their shares of common pages (PSS), at its peak from loading to the end of a
training, less that of the same training on a few pictures in memory.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from archfront.contracts import Context, Proposal
from evaluators.candidate_training import Training
from evaluators.datasets import DataSet, Feed, Split, load
from evaluators.recipes.training import Recipe
from search_spaces.building import build
from search_spaces.topologies.network.cell201 import Cell201

NETWORK = Cell201("nor_conv_3x3", "skip_connect", "nor_conv_1x1", "none", "avg_pool_3x3", "skip_connect", 1, 8)
HERE = Path(__file__).resolve()


class Made:
    """Pictures of noise around the color of their class, as many as are asked for."""

    classes = tuple(map(str, range(10)))

    def __init__(self, n: int, side: int = 64) -> None:
        self.n = n
        self.noise = np.random.default_rng(0).integers(0, 156, (1009, side, side, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[Any, int]:
        turn, number = divmod(index, len(self.noise))
        return np.roll(self.noise[number], turn, axis=0) + np.uint8(10 * (index % 10)), index % 10


def some(data: DataSet, count: int, seed: int) -> DataSet:
    """The data set with that many of its training examples, from anywhere in it, and few others."""
    chosen = torch.randperm(data.train.size, generator=torch.Generator().manual_seed(seed))[:count]
    inputs: Any = data.train.inputs
    taken = inputs[chosen] if isinstance(inputs, torch.Tensor) else inputs.at(chosen.numpy())
    few = Split(data.test.inputs[:64], data.test.targets[:64])
    return replace(data, train=Split(taken, data.train.targets[chosen]), validation=few, test=few)


def training_on(data: DataSet, batch: int) -> Training:
    recipe = Recipe(epochs=1000, batch_size=batch)
    context = Context(Path("."), 0, 1, data.inputs, data.outputs, data)
    return Training(
        build(NETWORK, data.inputs, data.outputs, 0), recipe, data, "cpu", Proposal(NETWORK, "one"), context
    )


def timed(training: Training) -> tuple[float, float]:
    """Examples per second of an epoch, and the processor's seconds for it."""
    start, used = time.perf_counter(), time.process_time()
    training.run(1)
    return training.dataset.train.size / (time.perf_counter() - start), time.process_time() - used


def fed(data: DataSet, batch: int) -> float:
    """Examples per second that a feed gives to nobody."""
    feed, start = Feed(data, data.train), time.perf_counter()
    for _ in feed.in_order(torch.randperm(feed.size), batch):
        pass
    return feed.size / (time.perf_counter() - start)


def speeds(held: DataSet, mapped: DataSet, options: argparse.Namespace) -> None:
    count = options.steps * options.batch
    found: list[list[tuple[float, float]]] = [[], []]
    for turn in range(options.turns + 1):
        sets = [some(held, count, turn), some(mapped, count, turn)]
        trainings = [training_on(data, options.batch) for data in sets]
        fed(sets[1], options.batch)  # What other processes pushed out of the page cache is there again.
        order = (0, 1) if turn % 2 else (1, 0)
        results = {kind: timed(trainings[kind]) for kind in order}
        if turn:  # The first turn warms up.
            for kind in order:
                found[kind].append(results[kind])
    median = [statistics.median(rate for rate, _ in kind) for kind in found]
    pairs = list(zip(*found, strict=True))
    ratio = sorted(file[0] / memory[0] for memory, file in pairs)
    used = statistics.median(file[1] / memory[1] for memory, file in pairs)
    print(f"in memory             {median[0]:8.0f} examples/s")
    print(f"from the warm cache   {median[1]:8.0f} examples/s")
    print(
        f"ratio of a turn       {statistics.median(ratio):8.3f} (median of {len(ratio)}, {ratio[0]:.3f} to "
        f"{ratio[-1]:.3f}); processor time {used:.3f} times that in memory"
    )
    print(f"reading alone         {fed(some(mapped, 5 * count, 99), options.batch):8.0f} examples/s")


def worker(options: argparse.Namespace) -> None:
    """Train, as a process of a search does, for its memory to be looked at."""
    data = load(f"{HERE}:Made", n=options.n, side=options.side, memory_mb=options.memory_mb)
    training_on(some(data, options.steps * options.batch, os.getpid()), options.batch).run(2)


def memory_of(options: argparse.Namespace, workers: int, n: int) -> tuple[float, float]:
    """Peak of the sums over the workers of private pages, and of pages by their shares, in MiB."""
    given = {"n": n, "side": options.side, "steps": options.steps, "batch": options.batch, "threads": options.threads}
    command = [sys.executable, str(HERE), "--worker", *(f"--{key}={value}" for key, value in given.items())]
    running = [psutil.Popen(command, stdout=subprocess.DEVNULL) for _ in range(workers)]
    peaks = [0.0, 0.0]
    while any(process.poll() is None for process in running):
        try:
            seen = [process.memory_full_info() for process in running if process.poll() is None]
        except psutil.Error:
            continue
        for place, name in enumerate(("uss", "pss")):
            peaks[place] = max(peaks[place], sum(getattr(one, name) for one in seen) / 2**20)
        threading.Event().wait(0.05)
    if any(process.returncode for process in running):
        raise SystemExit("a worker failed")
    return peaks[0], peaks[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--gb", type=float, default=1.0, help="size of the data set, in 10^9 bytes")
    parser.add_argument("--side", type=int, default=64, help="of pictures, in pixels")
    parser.add_argument("--steps", type=int, default=10, help="of a training")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory-mb", type=float, default=512, help="what is larger isn't held in memory")
    parser.add_argument("--n", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.worker:
        worker(options)
        return
    n = round(options.gb * 1e9 / (options.side**2 * 3))
    with tempfile.TemporaryDirectory(prefix="large-data-") as folder:
        os.environ["ARCHFRONT_CACHE"] = folder
        start = time.perf_counter()
        mapped = load(f"{HERE}:Made", n=n, side=options.side, memory_mb=options.memory_mb)
        made = time.perf_counter() - start
        start = time.perf_counter()
        load(f"{HERE}:Made", n=n, side=options.side, memory_mb=options.memory_mb)
        print(f"{n:,} pictures of {options.side}×{options.side}, {options.gb:g} GB")
        print(f"into the cache        {made:8.1f} s; opened again in {time.perf_counter() - start:.2f} s")
        held = load(f"{HERE}:Made", n=2 * options.steps * options.batch, side=options.side)
        assert held.in_memory and not mapped.in_memory
        speeds(held, mapped, options)
        few = 5 * options.batch
        for workers in (1, 2):
            alone, whole = memory_of(options, workers, few), memory_of(options, workers, n)
            print(
                f"{workers} worker{'s' if workers > 1 else ' '}: beyond the model  {whole[0] - alone[0]:6.0f} MiB USS, "
                f"{whole[1] - alone[1]:6.0f} MiB PSS (in all {whole[0]:.0f} and {whole[1]:.0f})"
            )


if __name__ == "__main__":
    main()

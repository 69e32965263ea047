"""What sharing weights costs: switching networks, and training them, against stand-alone networks.

For some networks of a space: `activate` and a forward pass of the supernet against the stand-alone network's pass, and
a sandwich step against the sum of its networks' stand-alone steps. Both sides take turns, so that drift of the machine
meets both; figures are medians of the ratios of neighbours, with their quartiles.

    python -m benchmarks.supernet_switching [--space hybrid] [--side 32] [--batch 64] [--rounds 30]
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from random import Random
from statistics import median, quantiles

import torch
from torch import Tensor, nn

from search_spaces.spaces import get_space
from search_spaces.weight_sharing import METHODS, Supernet
from search_spaces.weight_sharing.methods import Batch, Lesson

NETWORKS = 4


def main() -> None:
    """Print both ratios."""
    arguments = parsed()
    torch.set_num_threads(1)
    inputs = (3, arguments.side, arguments.side)
    supernet = Supernet(get_space(arguments.space, inputs, 10_000), inputs, 10, seed=0)
    images, labels = torch.randn(arguments.batch, *inputs), torch.randint(10, (arguments.batch,))
    label = f"{arguments.space}, {arguments.side}x{arguments.side}, batch {arguments.batch}"
    print(f"switching, {label}: {told(switching(supernet, images, arguments.rounds))}")
    print(f"a step, {label}: {told(stepping(supernet, Batch(images, labels), arguments.rounds))}")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="hybrid")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=30)
    return parser.parse_args()


def switching(supernet: Supernet, images: Tensor, rounds: int) -> list[float]:
    """Every pass is another network's than the one before."""
    architectures = [supernet.space.sample(seed) for seed in range(NETWORKS)]
    alone = [supernet.extract(architecture).eval() for architecture in architectures]
    supernet.eval()

    def shared_pass(number: int) -> None:
        supernet.activate(architectures[number])
        supernet(images)

    ratios = []
    with torch.no_grad():
        for number in range(NETWORKS):
            shared_pass(number)
            alone[number](images)
        for _ in range(rounds):
            shared = stand_alone = 0.0
            for number in range(NETWORKS):
                shared += seconds(partial(shared_pass, number))
                stand_alone += seconds(partial(alone[number], images))
            ratios.append(shared / stand_alone)
    return ratios


def stepping(supernet: Supernet, batch: Batch, rounds: int) -> list[float]:
    """The same four networks in each step, so that all of them are made."""
    method = METHODS.get("sandwich")()
    lessons = list(method.lessons(supernet, Random(0), 0.0))
    method.lessons = lambda *_: lessons  # type: ignore[method-assign]
    optimizer = torch.optim.AdamW(supernet.parameters(), lr=1e-4, foreach=True)
    alone = [_Alone(supernet.extract(lesson.architecture), lesson, batch) for lesson in lessons]

    def shared_step() -> None:
        method.step(supernet, batch, optimizer, Random(0), 0.0, clip=1.0)

    supernet.train()
    ratios = []
    for round_ in range(rounds):
        left, right = seconds(shared_step), sum(seconds(one.step) for one in alone)
        if round_:
            ratios.append(left / right)
    return ratios


class _Alone:
    """A stand-alone network's training step."""

    def __init__(self, network: nn.Module, lesson: Lesson, batch: Batch) -> None:
        self.network, self.batch = network.train(), batch
        self.targets = batch.targets if lesson.teacher == "labels" else torch.full((len(batch.targets), 10), 0.1)
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, foreach=True)

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(self.network(self.batch.inputs), self.targets).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()


def seconds(work: Callable[[], object]) -> float:
    """Of this process's CPU, which other work on the machine disturbs least."""
    start = time.process_time()
    work()
    return time.process_time() - start


def told(ratios: list[float]) -> str:
    """Median and quartiles."""
    low, _, high = quantiles(ratios, n=4)
    return f"{median(ratios):.3f} [{low:.3f}, {high:.3f}] of stand-alone, n = {len(ratios)}"


if __name__ == "__main__":
    main()

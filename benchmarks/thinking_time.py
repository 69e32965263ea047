"""What a controller's `ask` and `tell` cost in processor time after thousands of candidates of the space `hybrid`.

    python -m benchmarks.thinking_time [--controllers pareto-evolution,model-based,optuna:tpe] [--counts 5000,100000]

The history is random candidates with made-up losses. A figure is the median of five series of `--asks` proposals.
"""

import argparse
import os
import statistics
import time
from random import Random

os.environ.setdefault("OMP_NUM_THREADS", "1")

from archfront.contracts import Evaluation, Metric, Objective, Proposal
from controllers import Controller
from controllers.base import create
from search_spaces.space import SearchSpace
from search_spaces.spaces import get_space

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency", "min"))
SERIES = 5


def main() -> None:
    """Print a row per controller and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--controllers", default="regularized-evolution,pareto-evolution,nsga2,model-based")
    parser.add_argument("--counts", default="5000")
    parser.add_argument("--asks", type=int, default=40)
    arguments = parser.parse_args()
    space = get_space("hybrid")
    print("| controller | candidates | ask + tell, ms: median (least to most) |\n|---|---|---|")
    for count in map(int, arguments.counts.split(",")):
        rng = Random(0)
        history = [proposal(space, space.sample(rng), number) for number in range(count)]
        for name in arguments.controllers.split(","):
            found = thinking(create(name, space, OBJECTIVES), history, space, arguments.asks)
            print(f"| {name} | {count:,} | {statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f}) |")


def thinking(controller: Controller, history: list[Proposal], space: SearchSpace, asks: int) -> list[float]:
    """Milliseconds of processor time per proposal, of each series, after the history was taken over."""
    controller.restore(history, [evaluated(one, space) for one in history])
    controller.tell([evaluated(one, space) for one in controller.ask(1)])
    found = []
    for _ in range(SERIES):
        taken = 0.0
        for _ in range(asks):
            start = time.process_time()
            (proposed,) = controller.ask(1)
            taken += time.process_time() - start
            result = evaluated(proposed, space)
            start = time.process_time()
            controller.tell([result])
            taken += time.process_time() - start
        found.append(taken / asks * 1e3)
    return found


def proposal(space: SearchSpace, architecture: object, number: int) -> Proposal:
    """A random candidate of the history."""
    return Proposal(architecture, space.digest(architecture), origin="random", number=number)


def evaluated(one: Proposal, space: SearchSpace) -> Evaluation:
    """Losses that every decision has a share in, and that contradict each other."""
    genes = space.genes(one.architecture)
    good = sum((gene + 1) * ((place * 7919) % 13 - 6) for place, gene in enumerate(genes)) / 50
    slow = sum((gene + 1) * ((place * 104729) % 11) for place, gene in enumerate(genes)) / 20
    return Evaluation(one, metrics=(Metric("accuracy", good - 1e-4 * slow**2), Metric("latency", slow + 1)))


if __name__ == "__main__":
    main()

"""One search in virtual time."""

import time
from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

from archfront.contracts import Evaluation
from archfront.simulator.benchmark import EPOCHS, Benchmark, Losses
from archfront.simulator.clock import Workers
from controllers.base import Controller


@dataclass(frozen=True)
class Run:
    """What a search found: the losses of its candidates and the virtual seconds of their ends, in that order.

    `thinking` are the seconds of processor time for asking, looking up and telling.
    """

    losses: Losses
    ended: npt.NDArray[np.float64]
    thinking: float


def simulate(
    controller: Controller,
    benchmark: Benchmark,
    evaluations: int | None,
    workers: int = 1,
    until: float = inf,
) -> Run:
    """Search for so many evaluations or virtual seconds, or until the space is exhausted, with so many workers at once.

    As in a real search, a worker that is free gets a candidate at once, and the controller is told of each result when
    it comes, while others are still under way. A candidate that comes again is trained on from where it stopped.
    """
    pool: Workers[Evaluation] = Workers(workers)
    losses: list[tuple[float, ...]] = []
    ended: list[float] = []
    reached: dict[str, int] = {}
    thinking, exhausted = 0.0, False
    while True:
        start = time.process_time()
        while pool.free and not exhausted and pool.now < until:
            if evaluations is not None and len(losses) + pool.busy >= evaluations:
                break
            proposals = controller.ask(1)
            if not proposals:
                exhausted = not (controller.waiting and pool.busy)
                break
            evaluation = benchmark.evaluate(proposals[0], reached.get(proposals[0].digest, 0))
            pool.begin(evaluation, evaluation.seconds)
        if not pool.busy:
            break
        evaluation = pool.end()
        reached[evaluation.proposal.digest] = evaluation.proposal.fidelity or EPOCHS
        controller.tell([evaluation])
        thinking += time.process_time() - start
        losses.append(benchmark.losses(evaluation))
        ended.append(pool.now)
    return Run(np.array(losses).reshape(-1, len(benchmark.objectives)), np.array(ended), thinking)

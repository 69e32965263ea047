"""Ray Tune's ASHAScheduler beside our `asha`, both over random search, on NAS-Bench-201 in virtual time.

    ARCHFRONT_DATA=… python -m benchmarks.ray_tune_asha [--seeds 20] [--workers 1] [--marks 20,33,67,100,200]

Tune's own loop does a few trials per second at best, so its scheduler class is driven directly: `on_trial_add`,
`on_trial_result`, `on_trial_complete`, in the order of a virtual clock, as `archfront bench search --fidelity` drives
our controllers. Candidates are those of our `random`. A full training counts as one virtual second, the figure after 12
of 200 epochs as 0.06. The scheduler stops a training or lets it go on at once; ours takes a candidate up again later.
The regret is that of the best full training so far, in points of accuracy.

Source: "A System for Massively Parallel Hyperparameter Tuning".
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from archfront.contracts import Evaluation, Proposal
from archfront.plan import Plan
from archfront.simulator import Benchmark, Contender
from archfront.simulator.benchmark import EPOCHS
from archfront.simulator.clock import Workers
from archfront.simulator.simulation import Run, simulate
from controllers.base import Controller

SHARE = 12 / 200
COLUMNS = {
    "cifar10_halftrain_test_acc_ep200": "cifar10_val_acc_ep12",
    "cifar10_test_acc_ep200": "cifar10_val_acc_ep12",
}
"""Objectives, each with the column that stands for it after 12 epochs."""
OURS = ("random", "asha+of=random", "asha+of=random+fidelities=[0.06]+reduction=17")
REDUCTIONS = (4.0, 17.0)
"""Tune's own default, and the one that asks of a training what it costs: 200/12."""


@dataclass
class _Trial:
    """What the scheduler sees of a training, and the proposal that it is of."""

    trial: Any
    proposal: Proposal
    evaluation: Evaluation


def simulate_tune(controller: Controller, benchmark: Benchmark, reduction: float, workers: int, until: float) -> Run:
    """One search in virtual time whose trainings Tune's scheduler stops after the lower fidelity, or doesn't."""
    objective = benchmark.objectives[0]
    low = round(SHARE * EPOCHS)
    mode = objective.direction
    tuner = ASHAScheduler("epochs", "score", mode, EPOCHS, grace_period=low, reduction_factor=reduction)
    pool: Workers[_Trial] = Workers(workers)
    losses: list[tuple[float, ...]] = []
    ended: list[float] = []
    while True:
        while pool.free and pool.now < until and (asked := controller.ask(1)):
            begun = replace(asked[0], fidelity=low)
            trial = SimpleNamespace(trial_id=begun.digest)
            tuner.on_trial_add(None, trial)
            evaluation = benchmark.evaluate(begun)
            pool.begin(_Trial(trial, asked[0], evaluation), evaluation.seconds)
        if not pool.busy:
            break
        at = pool.end()
        fidelity = at.evaluation.proposal.fidelity or EPOCHS
        result = {"epochs": fidelity, "score": at.evaluation.values[objective.metric]}
        losses.append(benchmark.losses(at.evaluation))
        ended.append(pool.now)
        if tuner.on_trial_result(None, at.trial, result) == TrialScheduler.STOP:
            tuner.on_trial_complete(None, at.trial, result)
            controller.tell([replace(at.evaluation, proposal=replace(at.proposal, fidelity=None))])
        else:
            evaluation = benchmark.evaluate(at.proposal, done=fidelity)
            pool.begin(_Trial(at.trial, at.proposal, evaluation), evaluation.seconds)
    return Run(np.array(losses).reshape(-1, 1), np.array(ended), 0.0)


def main() -> None:
    """Print a table of regrets for each objective."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--marks", type=lambda text: [float(x) for x in text.split(",")], default=[20, 33, 67, 100, 200]
    )
    parser.add_argument("--ours", type=lambda text: text.split(";"), default=list(OURS), help="between semicolons")
    parser.add_argument("--reductions", type=lambda text: [float(x) for x in text.split(",")], default=list(REDUCTIONS))
    arguments = parser.parse_args()
    for objective, column in COLUMNS.items():
        benchmark = benchmark_of(objective, column)
        print(f"\n{objective}, {column} after 12 of 200 epochs; {arguments.seeds} seeds, {arguments.workers} workers")
        print("| contender |" + "".join(f" at {mark:g} s |" for mark in arguments.marks))
        print("|---|" + "---|" * len(arguments.marks))
        for label, run in contenders(benchmark, arguments):
            rows = [regrets(benchmark, run(seed), arguments.marks) for seed in range(arguments.seeds)]
            middle = np.percentile(rows, 50, axis=0, method="nearest")
            print(f"| {label} |" + "".join(f" {value:.3f} |" for value in middle), flush=True)


def contenders(benchmark: Benchmark, arguments: argparse.Namespace) -> list[tuple[str, Callable[[int], Run]]]:
    """Every contender's label, and what runs it with a seed."""
    until, workers = max(arguments.marks), arguments.workers

    def ours(text: str) -> Callable[[int], Run]:
        contender = Contender.parse(text)
        return lambda seed: simulate(contender.controller(benchmark, seed), benchmark, None, workers, until)

    def tunes(reduction: float) -> Callable[[int], Run]:
        random = Contender(f"ray-tune/{reduction}", "random")
        return lambda seed: simulate_tune(random.controller(benchmark, seed), benchmark, reduction, workers, until)

    return [(f"`{text}`", ours(text)) for text in arguments.ours] + [
        (f"Ray Tune's ASHAScheduler, reduction_factor={reduction:g}, over random", tunes(reduction))
        for reduction in arguments.reductions
    ]


def regrets(benchmark: Benchmark, run: Run, marks: list[float]) -> list[float]:
    """The regret at each of so many virtual seconds."""
    counts = [int(count) for count in np.searchsorted(run.ended, marks, side="right")]
    return benchmark.progress(run.losses, counts)


def benchmark_of(objective: str, column: str) -> Benchmark:
    """The connected cells with the figures after 12 epochs as a lower fidelity."""
    path = f"table:{Path(os.environ['ARCHFRONT_DATA']) / 'tables' / 'nasbench201_dev.parquet'}"
    plan = Plan(
        space=path,
        decisions=("op_*",),
        where="connected",
        evaluator=path,
        evaluator_settings={"repeats": "mean"},
        objectives=(f"{objective}:max",),
    )
    # Our rungs may lie elsewhere: the table has one column below the full training, which stands for all of them.
    return Benchmark.of(plan, 1.0, None, {SHARE: column, 1 / 16: column, 1 / 4: column})


if __name__ == "__main__":
    main()

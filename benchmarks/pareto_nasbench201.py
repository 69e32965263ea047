"""Pareto fronts on NAS-Bench-201: our controllers against Optuna's samplers, hypervolume by evaluations.

The table holds every cell's accuracy after 200 epochs (trained on half of the training data, tested) and its latency
on a device (default: Pixel 3); only connected cells count. Every contender gets the same evaluations and the same
seeds; nobody trains anything. Run it with:
python benchmarks/pareto_nasbench201.py TABLE.parquet --seeds 20 --to docs/benchmarks
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
from moocore import hypervolume

from archfront.contracts import Context, Objective, Proposal
from controllers import CONTROLLERS
from evaluators.table import TableEvaluator
from search_spaces.table import TableSpace

ACCURACY = "cifar10_halftrain_test_acc_ep200"
OPS = ("op_0_1", "op_0_2", "op_1_2", "op_0_3", "op_1_3", "op_2_3")
Points = list[tuple[float, float]]


def ours(name: str, space: TableSpace, table: TableEvaluator, latency: str, seed: int, evaluations: int) -> Points:
    """The losses that one of our controllers finds, in order."""
    objectives = (Objective(ACCURACY, "max"), Objective(latency, "min"))
    controller = CONTROLLERS.get(name)(space, objectives, (), seed)
    context = Context(Path("."))
    found: Points = []
    while len(found) < evaluations:
        for proposal in controller.ask(1):
            evaluation = table.evaluate(proposal, context)
            found.append((-evaluation.values[ACCURACY], evaluation.values[latency]))
            controller.tell([evaluation])
    return found


def peer(
    sampler: Callable[[int], optuna.samplers.BaseSampler], table: TableEvaluator, latency: str, seed: int, n: int
) -> Points:
    """The losses that an Optuna sampler finds; a cell that isn't connected is told as a failure, and not counted."""
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler(seed))
    connected = table.rule("connected")
    options = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    found: Points = []
    while len(found) < n:
        trial = study.ask()
        row = _Cell(tuple(trial.suggest_categorical(op, options) for op in OPS))
        if not connected(row):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        values = table.evaluate(Proposal(row, ""), Context(Path("."))).values
        found.append((-values[ACCURACY], values[latency]))
        study.tell(trial, found[-1])
    return found


class _Cell:
    """A cell by its six operations, found in the table as our own space's rows are."""

    def __init__(self, ops: tuple[str, ...]) -> None:
        self.ops = ops

    def key(self) -> dict[str, str]:
        """Column names and values of its row."""
        return dict(zip(OPS, self.ops, strict=True))


PEERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "Optuna random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "Optuna NSGA-II (population 50)": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
    "Optuna NSGA-II (population 20)": lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=20),
    "Optuna TPE": lambda seed: optuna.samplers.TPESampler(seed=seed),
}


def main() -> None:
    """Run every contender on every seed, print the table, and leave it with its plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--at", default="50,80,100,120,200,500")
    parser.add_argument("--latency", default="lat_pixel3_ms", help="the latency column: the device")
    parser.add_argument("--to", default=None, help="folder for the table (JSON, Markdown) and the plot")
    parser.add_argument("--only", default="", help="contenders whose names hold this text")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    counts = [int(count) for count in arguments.at.split(",")]
    space = TableSpace.load(arguments.table, OPS, where="connected")
    table = TableEvaluator(arguments.table, columns=[ACCURACY, arguments.latency])
    every = np.array([_losses(table, arguments.latency, row) for row in space.enumerate()])
    # The reference of the published comparisons: accuracy 20 points below the best, the slowest connected cell.
    reference = np.array([every[:, 0].min() + 20, every[:, 1].max()])
    whole = hypervolume(every, ref=reference)
    contenders: dict[str, Callable[[int], Points]] = {
        name: (lambda seed, name=name: ours(name, space, table, arguments.latency, seed, max(counts)))
        for name in ("random", "regularized-evolution", "pareto-evolution", "model-based")
    }
    for name, sampler in PEERS.items():
        contenders[name] = lambda seed, sampler=sampler: peer(sampler, table, arguments.latency, seed, max(counts))
    results: dict[str, list[list[float]]] = {}
    for name, run in contenders.items():
        if arguments.only not in name:
            continue
        start = time.perf_counter()
        points = [np.array(run(seed)) for seed in range(arguments.seeds)]
        seconds = time.perf_counter() - start
        results[name] = [
            [round(float(hypervolume(p[:n], ref=reference) / whole), 5) for n in _grid(counts)] for p in points
        ]
        print(_line(name, results[name], counts), f"  {seconds / arguments.seeds:.1f} s a seed", flush=True)
    if arguments.to:
        write(Path(arguments.to), results, counts, arguments.seeds)


def _losses(table: TableEvaluator, latency: str, row: object) -> tuple[float, float]:
    values = table.evaluate(Proposal(row, ""), Context(Path("."))).values
    return -values[ACCURACY], values[latency]


def _grid(counts: list[int]) -> list[int]:
    return sorted({*range(10, max(counts) + 1, 10), *counts})


def _cells(rows: list[list[float]], counts: list[int]) -> list[str]:
    grid = _grid(counts)
    cells = []
    for count in counts:
        low, middle, high = np.percentile([row[grid.index(count)] for row in rows], [25, 50, 75])
        cells.append(f"{middle:.4f} ({low:.4f}–{high:.4f})")
    return cells


def _line(name: str, rows: list[list[float]], counts: list[int]) -> str:
    return f"| {name:32} | " + " | ".join(_cells(rows, counts)) + " |"


def write(folder: Path, results: dict[str, list[list[float]]], counts: list[int], seeds: int) -> None:
    """Leave `pareto_nasbench201.{json,md,png}` in `folder`."""
    import plotly.graph_objects as go

    folder.mkdir(parents=True, exist_ok=True)
    grid = _grid(counts)
    kept = {"evaluations": grid, "seeds": seeds, "ratios": results}
    (folder / "pareto_nasbench201.json").write_text(json.dumps(kept))
    head = "| contender | " + " | ".join(f"{count} evaluations" for count in counts) + " |"
    rule = "|---" * (len(counts) + 1) + "|"
    body = "\n".join(_line(name, rows, counts) for name, rows in results.items())
    text = f"Share of the true hypervolume found: median (quartiles) of {seeds} seeds.\n\n{head}\n{rule}\n{body}\n"
    (folder / "pareto_nasbench201.md").write_text(text)
    figure = go.Figure()
    for name, rows in results.items():
        figure.add_scatter(x=grid, y=np.median(rows, axis=0), name=name, mode="lines")
    figure.update_xaxes(title="evaluations")
    figure.update_yaxes(title="share of the true hypervolume (median)", range=[0.85, 1.005])
    figure.update_layout(template="plotly_white", width=900, height=520, legend={"x": 0.55, "y": 0.05})
    figure.write_image(folder / "pareto_nasbench201.png")


if __name__ == "__main__":
    main()

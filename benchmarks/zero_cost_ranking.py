"""How well zero-cost proxies rank networks, beside parameters and multiply-accumulates.

The networks are those that `benchmarks.supernet_truth` trained from scratch. Scores are lines of a file, so only new
networks are looked at; tau, its 95 % interval and the seeds' own agreement are printed and written beside it.

    python -m benchmarks.zero_cost_ranking --space mobile [--batch-size 64] [--to docs/benchmarks/supernets]
    python -m benchmarks.zero_cost_ranking --space cell201 --table nasbench201_dev.parquet [--networks 60]

The second ranks random connected cells of NAS-Bench-201 by the table's accuracies, also at 16x16 pixels.
"""

import argparse
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import torch

from archfront.contracts import Context, Evaluation, Proposal
from archfront.report.ranking import rank, write_ranking
from benchmarks.reduced_spaces import INPUTS, OUTPUTS, SPACES, data
from benchmarks.supernet_truth import TO, rows
from evaluators.base import Evaluator, attempt, create
from evaluators.datasets import DataSet
from evaluators.zero_cost import az_nas
from search_spaces import canonical
from search_spaces.spaces.cell201 import from_arch_str
from search_spaces.table import read


def main() -> None:
    """Score what isn't in the file yet, and rank."""
    arguments = parsed()
    torch.set_num_threads(1)
    if arguments.table:
        truth_rows = published(arguments.table, arguments.networks)
    else:
        truth_rows = rows(arguments.to / f"truth_{arguments.space}.jsonl")
    file = arguments.to / f"zero_cost_{arguments.space}.jsonl"
    settings = {"batch_size": arguments.batch_size, "proxies": arguments.proxies}
    evaluators = [create("cost"), create("zero_cost", settings)]
    known = {row["digest"] for row in rows(file)}
    dataset = data()
    for row in truth_rows:
        if row["digest"] not in known:
            known.add(row["digest"])
            with file.open("a") as out:
                out.write(json.dumps(scored(row, evaluators, dataset)) + "\n")
    report = rank(truth(truth_rows), predictors(rows(file)))
    print(report.table())
    for ending in ("json", "png"):
        write_ranking(report, arguments.to / f"zero_cost_{arguments.space}.{ending}")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", choices=[*SPACES, "cell201"], required=True)
    parser.add_argument("--table", help="of NAS-Bench-201, for the space cell201")
    parser.add_argument("--networks", type=int, default=60, help="of the table")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--proxies", type=lambda text: tuple(text.split(",")), default=(), help="default: all")
    parser.add_argument("--to", type=Path, default=TO)
    return parser.parse_args()


def published(path: str, networks: int) -> list[dict[str, Any]]:
    """Random connected cells and their accuracies after 200 epochs, in the form of the file of trainings."""
    table = read(path).select(["arch_str", "connected", "cifar10_test_acc_ep200"]).to_pylist()
    found = []
    for row in Random(20).sample([row for row in table if row["connected"]], networks):
        text = canonical.text(from_arch_str(row["arch_str"]))
        digest = canonical.digest(canonical.from_json(json.loads(text)))
        found.append({"architecture": text, "digest": digest, "accuracy": row["cifar10_test_acc_ep200"]})
    return found


def scored(row: Mapping[str, Any], evaluators: Iterable[Evaluator], dataset: DataSet) -> dict[str, Any]:
    """One network's scores, parameters and multiply-accumulates."""
    proposal = Proposal(canonical.from_json(json.loads(row["architecture"])), row["digest"])
    context = Context(Path("."), 0, 1, INPUTS, OUTPUTS, dataset)
    start = time.process_time()
    found = Evaluation(proposal)
    for evaluator in evaluators:
        found = found.joined(attempt(evaluator, proposal, context))
    spent = round(time.process_time() - start, 2)
    return {"digest": proposal.digest, "cpu_s": spent, "reason": found.reason, "scores": found.values}


def truth(truth_rows: Iterable[Mapping[str, Any]]) -> dict[str, list[float]]:
    """The validation accuracies of each network's trainings, by digest."""
    found: dict[str, list[float]] = {}
    for row in truth_rows:
        if row["accuracy"] is not None:
            found.setdefault(row["digest"], []).append(row["accuracy"])
    return found


def predictors(score_rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Each score's values by digest, and AZ-NAS's ranking of these networks by its four scores."""
    found: dict[str, dict[str, float]] = {}
    networks = {row["digest"]: row["scores"] for row in score_rows}
    for digest, values in networks.items():
        for name, value in values.items():
            found.setdefault(name, {})[digest] = value
    if any(name.startswith("az_") for name in found):
        found["az_nas"] = dict(zip(networks, az_nas(list(networks.values())), strict=True))
    return found


if __name__ == "__main__":
    main()

"""How well a supernet ranks: networks drawn evenly, trained from scratch, against what the supernet says of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archfront.contracts import TASK_METRICS, Context, Proposal, Status, WrongUse
from archfront.report.ranking import RankingReport, rank
from archfront.settings import Settings, overlaid, settings_from, settings_of
from archfront.study import FINISHED, Study
from archfront.study.study import Row
from archfront.supernets.extraction import candidate_of, data_of
from evaluators.base import Evaluator, attempt
from evaluators.cost import CostEvaluator
from evaluators.datasets import DataSet
from evaluators.inherited_weights import about_supernet
from evaluators.supernet import SupernetEvaluator
from evaluators.training import RUNS
from evaluators.zero_cost import ZeroCostEvaluator, az_nas

COSTS = ("params", "macs")
AZ = "az_"
"""What the components of AZ-NAS begin with, which together make one predictor."""


@dataclass(frozen=True)
class Truth:
    """Trained networks: architectures and what each one's trainings came to, by digest; what is odd of them.

    The figures are those of the study's first objective that training measures, turned so that more is better.
    """

    architectures: dict[str, Any]
    figures: dict[str, list[float]]
    notes: tuple[str, ...] = field(default=())


def truth_settings(
    folder: Path, networks: int, seeds: int, epochs: int | None, name: str, url: str, known: Study | None
) -> Settings:
    """The settings of the study that trains `networks` evenly drawn networks of the supernet's space from scratch.

    A `known` study of this name goes on with what it was begun with.
    """
    about = about_supernet(folder)
    evaluator: dict[str, Any] = {"name": "training", "seeds": seeds}
    if epochs is not None:
        evaluator["epochs"] = epochs
    values = {
        "name": name,
        "space": about["space"],
        "data": {"name": about["data"], **about["data_settings"]},
        "controller": "random",
        "evaluator": evaluator,
        "objectives": [data_of(about).task.measures[0]],
        "seed": about["seed"],
        "budget": {"evaluations": networks},
        "db": url,
    }
    return settings_from(overlaid(settings_of(known), values) if known else values, f"the truth of {folder}")


def truth_in(study: Study, most: int | None = None) -> Truth:
    """The first `most` trained candidates of a study, in the order in which they were asked for."""
    sought = next((one for one in study.objectives if one.metric in TASK_METRICS), study.objectives[0])
    metric, sign = sought.metric, 1 if sought.direction == "max" else -1
    # What was finished wasn't trained from scratch.
    rows = [r for r in study.rows(statuses=[Status.OK]) if metric in r.values and r.origin != FINISHED][:most]
    notes = []
    chosen = sum(row.origin != "random" for row in rows)
    if chosen:
        notes.append(f"{chosen} of {len(rows)} networks were not drawn evenly: τ is that of what a search looked at")
    architectures = {row.digest: candidate_of(study, str(row.number)) for row in rows}
    return Truth(
        architectures, {row.digest: [sign * value for value in _runs(study, row, metric)] for row in rows}, tuple(notes)
    )


def _runs(study: Study, row: Row, metric: str) -> list[float]:
    """The metric of each training of a candidate."""
    for file in study.candidate(str(row.number)).artifacts:
        if file.kind == RUNS:
            try:
                found = json.loads((study.folder / file.path).read_text(encoding="utf-8"))[metric]
                return [float(value) for value in found]
            except (OSError, ValueError, KeyError):
                break  # The mean is known all the same.
    return [row.values[metric]]


def ranked(folder: Path, truth: Truth, proxies: str = "all", seed: int = 0) -> RankingReport:
    """The supernet in `folder`, parameters, multiply-accumulates and zero-cost proxies against the truth.

    `proxies` are names, comma-separated, "all" or "none". Raises `WrongUse` for networks of another space.
    """
    about = about_supernet(folder)
    data = data_of(about)
    evaluators: list[Evaluator] = [SupernetEvaluator(str(folder), test=False), CostEvaluator(), *zero_cost(proxies)]
    values = {
        digest: dict(_values(evaluators, digest, architecture, folder, data, seed))
        for digest, architecture in truth.architectures.items()
    }
    if not any(data.task.measures[0] in found for found in values.values()):
        raise WrongUse(f"none of the trained networks is in the space of the supernet in {folder}; give its own truth")
    return rank(truth.figures, predictors(values), seed)


def zero_cost(proxies: str) -> list[Evaluator]:
    """The evaluator of the zero-cost proxies that were named, if any; raises `WrongUse` for one that there isn't."""
    if proxies == "none":
        return []
    return [ZeroCostEvaluator(() if proxies == "all" else proxies)]


def _values(
    evaluators: Sequence[Evaluator], digest: str, architecture: Any, folder: Path, data: DataSet, seed: int
) -> Iterable[tuple[str, float]]:
    context = Context(folder, seed, 1, data.inputs, data.outputs, data)
    for evaluator in evaluators:
        evaluator.prepare(context)
        yield from attempt(evaluator, Proposal(architecture, digest), context).values.items()


def predictors(values: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Metrics by digest as predictors, each the more the better, by name."""
    found: dict[str, dict[str, float]] = {}
    for digest, metrics in values.items():
        for name, value in metrics.items():
            if name in TASK_METRICS:
                sign = 1 if TASK_METRICS[name][0] == "max" else -1
                found.setdefault(f"supernet {name}", {})[digest] = sign * value
            elif not name.startswith(AZ) and name != "activations":
                found.setdefault(name, {})[digest] = value
    if any(name.startswith(AZ) for metrics in values.values() for name in metrics):
        found["az_nas"] = dict(zip(values, az_nas(list(values.values())), strict=True))
    return found


__all__ = ["Truth", "predictors", "ranked", "truth_in", "truth_settings", "zero_cost"]

"""Real training from scratch: how good a candidate is, on validation data for selection and on test data."""

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from archfront.contracts import METRICS, Artifact, Context, Evaluation, Metric, Objective, Proposal, WrongUse
from evaluators import checkpoints, confusion
from evaluators.base import EVALUATORS, Evaluator
from evaluators.candidate_training import Training, seed_of, suffix, threads_set, training_device
from evaluators.datasets import DataSet
from evaluators.inherited_weights import InheritedWeights
from evaluators.intervals import over_runs
from evaluators.parent_weights import from_parents
from evaluators.pretrained_weights import PretrainedWeights
from evaluators.probes import check, chosen, metrics_of, naming, probed
from evaluators.recipe import check_recipe, default_recipe, fine_tuning_recipe, own_recipe
from evaluators.recipes.training import FIELDS, Recipe
from evaluators.starting_weights import StartingWeights, start_from
from evaluators.tasks import Task
from evaluators.tasks.classification import Classification
from evaluators.training_loss import TrainingLoss
from search_spaces.building import build
from search_spaces.errors import SpaceError, near
from search_spaces.parts import has_holes, without_recipe

RUNS = "runs"
"""The kind of artifact that keeps the metrics of each of several runs."""
PARENT = "parent"
"""The setting `inherit` for weights of the study itself."""


@EVALUATORS.register("training", source="Decoupled Weight Decay Regularization")
class TrainingEvaluator(Evaluator):
    """Trains the candidate from scratch: the task's measures on validation data, and on untouched test data.

    Settings are the recipe's fields; those not given suit the data set (`default_recipe`). `device` is "cpu", "cuda",
    or "auto" (CUDA where there is one, with mixed precision). With `seeds` of 2 or more, each candidate is trained so
    many times, from the context's seed and those after it: metrics are means with the interval over the runs, and the
    weights left are those of the run that is best on validation data. `inherit` is the folder of a supernet: the
    candidate is then not trained from scratch but on from the weights that it has in there. With `inherit` "parent" it
    is trained on from the weights of a parent, wherever edits that leave the network's function as it was (see
    `search_spaces.edits`) lead from one to it, and from scratch elsewhere. With `pretrained`, networks of timm begin
    with pretrained weights, those of the folder `weights` where it has them; with `start`, the folder of a study or of
    a supernet, of whatever data, candidates begin with the weights that they have in there. What begins so is trained
    by `fine_tuning_recipe`, the others from scratch for as many epochs. `probes` are further measurements of each
    trained network (`evaluators.probes`), as "calibration,corruptions(severity=5)"; those of the registered ones whose
    metrics a search wants come by themselves.

    A candidate that brings a recipe of its own (`topologies.Trained`) is trained by it; the fields that it leaves out
    are those of the settings, or suit the data set.

    Fidelity is the number of epochs, None the recipe's. The learning rate follows the recipe's full schedule at every
    fidelity, so a training that goes on from a lower fidelity's checkpoint ends with the very weights of one that
    never stopped: the order of pictures, augmentation and dropout are drawn from (seed, digest, epoch).
    Deterministic on a CPU for a given number of threads.
    """

    name = "training"
    doing = "training"
    by_task = True
    trains_by_recipe = True

    def __init__(
        self,
        device: str = "auto",
        seeds: int = 1,
        inherit: str = "",
        pretrained: bool | None = None,
        weights: str = "",
        start: str = "",
        probes: str | Sequence[str] = (),
        **recipe: Any,
    ) -> None:
        for key in recipe:
            if key not in FIELDS:
                known = (*FIELDS, "device", "seeds", "inherit", "pretrained", "weights", "start", "probes")
                raise WrongUse(f"the evaluator 'training' has no setting '{key}'; {near(key, known)}")
        try:
            settled = Recipe(**recipe)
        except SpaceError as error:
            raise WrongUse(str(error)) from None
        if has_holes(settled):
            raise WrongUse("settings of the evaluator are for all candidates alike; search one with --search-recipe")
        if not isinstance(seeds, int) or isinstance(seeds, bool) or not 1 <= seeds <= 100:
            raise WrongUse(f"seeds={seeds!r} must be an integer from 1 to 100: how often each candidate is trained")
        self._settings, self._seeds, self._inherit = recipe, seeds, inherit
        self._pretrained, self._weights, self._start = begun_by(pretrained, weights, start, inherit), weights, start
        self.probes = chosen(probes)
        self._device = training_device(device)
        self._checked: tuple[Recipe, str] | None = None
        self._source: InheritedWeights | None = None
        self._begun: StartingWeights | None = None
        self._task: Task | type[Task] = Classification
        self.resource = "gpu" if self._device == "cuda" else "cpu"

    @classmethod
    def brings(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Data that needs no file."""
        return {"data": "digits"}

    def suit(self, data: Any) -> None:
        self._task = getattr(data, "task", None) or Classification

    def objectives(self) -> tuple[str, ...]:
        return (self._task.measures[0], "latency_ms")

    def metrics(self) -> tuple[str, ...]:
        further = (name for probe in self.probes for name in metrics_of(probe))
        return (*self._task.measures, *(f"test_{name}" for name in self._task.measures), *further)

    def narrowed(self, metrics: Sequence[str], where: str | None = None) -> Evaluator:
        """Itself, with the probes that yield what of these metrics nothing here does."""
        wanted = [name for name in metrics if name.partition("@")[0] not in {*METRICS, *self.metrics()}]
        self.probes = (*self.probes, *chosen(naming(wanted)))
        return self

    def prepare(self, context: Context) -> None:
        if not isinstance(context.data, DataSet):
            raise WrongUse("training needs a data set; name one, as with --data digits")
        check(self.probes, context.data)
        recipe = self.recipe(context.data)
        if (recipe, context.data.sha256) != self._checked:
            check_recipe(recipe, context.data)
            TrainingLoss(recipe, context.data, self._device)
            self._checked = recipe, context.data.sha256
        if self._inherit not in ("", PARENT) and self._source is None:
            self._source = InheritedWeights(self._inherit, context.data, self._device)
        if self._begun is None and (self._start or self._pretrained):
            self._begun = start_from(self._start) if self._start else PretrainedWeights(self._weights)

    def look_over(self, space: Any) -> None:
        if self._begun is not None:
            self._begun.check(space)

    def recipe(self, dataset: DataSet) -> Recipe:
        """The recipe that candidates are trained by on `dataset`, where they don't bring their own."""
        tuned = bool(self._start) or self._pretrained
        return (fine_tuning_recipe if tuned else default_recipe)(dataset, **self._settings)

    def recipe_of(self, architecture: Any, dataset: DataSet) -> Recipe:
        """The recipe that this candidate is trained by on `dataset`."""
        usual = self.recipe(dataset)
        if self._begun is not None and not self._begun.covers(without_recipe(architecture)):
            usual = default_recipe(dataset, **{**self._settings, "epochs": usual.epochs})
        return own_recipe(architecture, usual)

    def epochs(self, context: Context) -> int:
        return self.recipe(context.data).epochs

    def identity(self) -> str:
        """The hash of what weights are from, the supernet that they are inherited from or what is begun with."""
        if self._begun is not None:
            return self._begun.identity
        return "" if self._source is None else self._source.sha256

    def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
        self.prepare(context)
        epochs = proposal.fidelity or self.recipe(context.data).epochs
        started = time.monotonic()
        runs: list[tuple[Metric, ...]] = []
        left: list[tuple[Artifact, ...]] = []
        with threads_set(context.threads):
            for number in range(self._seeds):
                run = replace(context, seed=context.seed + number, checkpoint=_checkpoint(context, number))
                run = replace(run, until=_share(context.until, self._seeds - number))
                training = self._training(proposal, run, number, started)
                reached = training.run(epochs)
                if proposal.fidelity is not None and reached < epochs:
                    epochs = int(reached)
                    proposal = replace(proposal, fidelity=epochs)
                runs.append(self._measured(training, reached))
                left.append(training.saved(epochs))
        return self._gathered(proposal, context, runs, left)

    def _training(self, proposal: Proposal, context: Context, number: int, started: float) -> Training:
        dataset: DataSet = context.data
        model, origin = self._first(proposal, context)
        dataset.task.check(model, dataset.prepared(dataset.train.inputs[:2]))
        recipe = self.recipe_of(proposal.architecture, dataset)
        return Training(model, recipe, dataset, self._device, proposal, context, number, origin, started)

    def _measured(self, training: Training, epochs: float) -> tuple[Metric, ...]:
        """The task's measures of the trained network, then those of the probes."""
        found = training.measured(epochs)
        seed, how = training.context.seed, found[0].provenance
        return (*found, *probed(self.probes, training.model, training.dataset, self._device, seed, how))

    def _first(self, proposal: Proposal, context: Context) -> tuple[nn.Module, dict[str, str]]:
        """The network before its training, and where its weights are from when they are not random."""
        if self._source is not None:
            return self._source.extracted(without_recipe(proposal.architecture)).train(), {
                "inherit": self._source.sha256
            }
        dataset: DataSet = context.data
        seed = seed_of(context, proposal, "weights")
        model = build(proposal.architecture, dataset.inputs, dataset.outputs, seed)
        if self._begun is not None:
            network = without_recipe(proposal.architecture)
            if not self._begun.covers(network):
                return model, {self._begun.setting: "none"}
            return model, {self._begun.setting: self._begun.begin(network, model, dataset)}
        if self._inherit == PARENT:
            found = from_parents(proposal.architecture, context, seed)
            if found is not None:
                model.load_state_dict(found[0])
                return model, {"parent": found[1]}
        return model, {}

    def _gathered(
        self,
        proposal: Proposal,
        context: Context,
        runs: list[tuple[Metric, ...]],
        left: list[tuple[Artifact, ...]],
    ) -> Evaluation:
        """One evaluation from those of all runs; the weights of the best are its own, the others' are to go on from."""
        if len(runs) == 1:
            return Evaluation(proposal, metrics=runs[0], artifacts=left[0])
        metrics = []
        for same in zip(*runs, strict=True):
            how = same[0].provenance
            metrics.append(over_runs(same, replace(how, protocol=f"{how.protocol} seeds={len(runs)}")))
        sought = Objective.parse(runs[0][0].name)
        best = min(range(len(runs)), key=lambda number: sought.loss(runs[number][0].value))
        artifacts = list(left.pop(best))
        for others in left:
            # A training at full length has nothing to go on to; of the others' mistakes no one asks.
            goes_on = any(file.kind == "optimizer" for file in others)
            for file in others:
                if goes_on and file.kind != confusion.KIND:
                    artifacts.append(replace(file, kind=f"{file.kind} of another run"))
                else:
                    (context.folder / file.path).unlink(missing_ok=True)
        artifacts.append(_kept_runs(proposal, context, runs))
        return Evaluation(proposal, metrics=tuple(metrics), artifacts=tuple(artifacts))


def begun_by(pretrained: bool | None, weights: str, start: str, inherit: str) -> bool:
    """Whether these settings say that timm's networks begin with pretrained weights; `WrongUse` for two sources."""
    given = {"pretrained": bool(pretrained) or bool(weights), "start": bool(start), "inherit": bool(inherit)}
    if sum(given.values()) > 1:
        both = " and ".join(name for name, said in given.items() if said)
        raise WrongUse(f"{both} are two sources of the weights that trainings begin with; leave out one of them")
    if pretrained is False and weights:
        raise WrongUse(
            f"weights={weights} are pretrained weights, and pretrained=false says to take none; leave out one"
        )
    return given["pretrained"]


def _kept_runs(proposal: Proposal, context: Context, runs: list[tuple[Metric, ...]]) -> Artifact:
    """Each run's metrics, as a JSON file: {"seeds": [...], "accuracy": [...], ...}, in the order of the runs."""
    value: dict[str, list[Any]] = {"seeds": [context.seed + number for number in range(len(runs))]}
    value |= {same[0].name: [metric.value for metric in same] for same in zip(*runs, strict=True)}
    length = f"-{proposal.fidelity}" if proposal.fidelity else ""
    path = context.folder / checkpoints.FOLDER / f"{proposal.digest}{length}-runs.json"
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(value) + "\n", encoding="utf-8")
    os.replace(draft, path)
    return checkpoints.artifact(context.folder, path, RUNS)


def _share(until: float | None, runs: int) -> float | None:
    """When the next of so many runs is to be done, so that each gets as much of the time that is left."""
    now = time.monotonic()
    return until if until is None else now + (until - now) / runs


def _checkpoint(context: Context, number: int) -> Path | None:
    """The checkpoint of one of a candidate's trainings, beside that of the run that the study knows."""
    if context.checkpoint is None:
        return None
    stem = re.sub(r"-run\d+$", "", context.checkpoint.name.removesuffix(checkpoints.SUFFIX))
    return context.checkpoint.with_name(f"{stem}{suffix(number)}{checkpoints.SUFFIX}")


__all__ = ["RUNS", "TrainingEvaluator"]

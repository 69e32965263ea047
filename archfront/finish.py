"""Finishing: new candidates made of a study's trained ones, measured on the same devices, on the same front."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from archfront.contracts import Artifact, Evaluation, Metric, Proposal, Provenance, Status, WrongUse, judged
from archfront.export.candidates import artifact_file, state_in
from archfront.export.files import FILE
from archfront.export.onnx_network import OnnxNetwork, with_batch
from archfront.finishing import Finisher, Given, Product
from archfront.plan import Experiment
from archfront.settings import settings_from, settings_of
from archfront.study import FINISHED, Candidate, Study, StudyWriter
from evaluators import checkpoints, confusion
from evaluators.base import Diverged, attempt, outcome_of
from evaluators.candidate_training import Training, threads_set, training_device
from evaluators.datasets import DataSet, Feed
from evaluators.latency import LatencyEvaluator
from evaluators.probes import probed
from evaluators.recipe import default_recipe
from evaluators.tested import EVALUATION_BATCH, tested
from evaluators.training import TrainingEvaluator
from hardware_profiles.measuring import measure_file
from search_spaces.building import build
from search_spaces.canonical import IDENTITY, digest, from_json, outline, text
from search_spaces.errors import SpaceError
from search_spaces.parts import Part, without_recipe
from search_spaces.registry import load_file as load_file_of_parts
from search_spaces.specs import spelled
from search_spaces.topologies import Finished

if TYPE_CHECKING:
    from evaluators.recipes.training import Recipe

RATE = 0.3
"""Healing begins at this share of the learning rate that the network was trained by."""


@dataclass(frozen=True)
class Outcome:
    """What came of one finisher on one candidate: the number of the new one, or why there is none.

    `wrong` says that the finisher can't work on such a candidate, rather than that something failed.
    """

    of: int
    step: str
    number: int | None = None
    said: str = ""
    wrong: bool = False

    def __str__(self) -> str:
        made = f"candidate {self.number}" if self.number is not None else "nothing"
        return f"{self.step} of candidate {self.of}: {made}" + (f" ({self.said})" if self.said else "")


Listener = Callable[[Outcome], None]


def finish(
    study: Study,
    steps: Sequence[Finisher],
    candidates: Sequence[Candidate] = (),
    listener: Listener | None = None,
    data: DataSet | None = None,
) -> list[Outcome]:
    """Apply the finishers in a row to candidates of a study (none: its front), and record what each of them makes.

    Where a finisher can't work on a candidate, the rest of the row is left out for it, and the study's events say why.
    Raises `WrongUse` where nothing can be finished at all: no trained weights, other data, a search under way.
    """
    chosen = list(candidates) or [study.candidate(point.digest) for point in study.front()]
    if not chosen:
        raise WrongUse(f"the study '{study.name}' has no front yet; name a candidate, or search on")
    with StudyWriter(study) as writer:
        work = _Work(study, writer, data)
        outcomes: list[Outcome] = []
        for candidate in chosen:
            for outcome in work.row(candidate, steps):
                outcomes.append(outcome)
                writer.event("finish", str(outcome))
                if listener is not None:
                    listener(outcome)
        work.experiment.close()
    return outcomes


class _Work:
    """Finishing on one study, whose lease `writer` holds."""

    def __init__(self, study: Study, writer: StudyWriter, data: DataSet | None) -> None:
        self.study, self.writer = study, writer
        plan = settings_from(settings_of(study), f"the study '{study.name}'").order().plan
        if ".py:" in study.space:
            load_file_of_parts(study.space.rpartition(":")[0], "space")
        self.experiment = Experiment(replace(plan.qualified(), folder=str(study.folder)), data)
        if study.identity < IDENTITY:
            space = self.experiment.space
            writer.respell(
                lambda value: (space.to_text(f := space.from_json(value)), space.digest(f)), space.fingerprint()
            )
        self.data = self._data()
        self.main = self.experiment.main
        given = dict(plan.evaluator_settings).get("device", "auto")
        self.device = training_device(given if isinstance(given, str) else "auto")
        self.context = self.experiment.context
        self.others = {name: one for name, one in self.experiment.evaluators.items() if one is not self.main}
        for one in self.others.values():
            one.prepare(self.context)

    def _respelled(self, value: Any) -> tuple[str, str]:
        """The text and digest, as they are written now, of an architecture in a JSON form of earlier."""
        found = from_json(value)
        return text(found), digest(found)

    def _data(self) -> DataSet:
        found = self.experiment.data
        if not isinstance(found, DataSet):
            raise WrongUse(f"the study '{self.study.name}' has no data set to heal and test on; finish one that trains")
        if found.sha256 != self.study.settings.get("data_sha256", found.sha256):
            raise WrongUse(f"the data of the study '{self.study.name}' have changed since its search; put them back")
        return found

    def row(self, candidate: Candidate, steps: Sequence[Finisher]) -> list[Outcome]:
        """The finishers one after another, each on what the one before it made."""
        outcomes: list[Outcome] = []
        for step in steps:
            made, outcome = self._step(candidate, step)
            outcomes.append(outcome)
            if made is None or made.rows[-1].status not in (Status.OK, Status.INFEASIBLE):
                break
            candidate = made
        return outcomes

    def _step(self, candidate: Candidate, step: Finisher) -> tuple[Candidate | None, Outcome]:
        """One finisher on one candidate; errors are outcomes."""
        name, started = outline(step), time.monotonic()
        try:
            source = _Source.of(self, candidate)
            with tempfile.TemporaryDirectory(prefix="archfront-") as folder, threads_set(self.context.threads):
                product = step.finish(self._given(source, step, Path(folder)))
                proposal = self._proposal(source, step, product.architecture)
                known = self._known(proposal.digest)
                if known is None:
                    self._record(source, proposal, product, started)
        except (WrongUse, SpaceError) as error:
            return None, Outcome(candidate.number, name, said=_line(error), wrong=True)
        except Exception as error:
            return None, Outcome(candidate.number, name, said=outcome_of(error)[1])
        made = self.study.candidate(proposal.digest)
        row = made.rows[-1]
        ended = row.reason if row.status == Status.OK else f"{row.status}: {row.reason}"
        return made, Outcome(candidate.number, name, made.number, "it was there already" if known else ended)

    def _known(self, found: str) -> Candidate | None:
        try:
            return self.study.candidate(found)
        except WrongUse:
            return None

    def _proposal(self, source: "_Source", step: Finisher, architecture: Any) -> Proposal:
        made = Finished(without_recipe(architecture), (*source.steps, text(step)), source.root)
        return Proposal(made, digest(made), None, (source.candidate.digest,), FINISHED, self.writer.asked)

    def _given(self, source: "_Source", step: Finisher, folder: Path) -> Given:
        def heal(architecture: Part, state: Mapping[str, Tensor], epochs: int) -> Mapping[str, Tensor]:
            proposal = self._proposal(source, step, architecture)
            return (
                self._healed(proposal, given.network(architecture, state), source.recipe, epochs) if epochs else state
            )

        context = self.context
        given = Given(source.network, source.state, self.data, source.recipe, context.seed, self.device, folder, heal)
        return given

    def _healed(self, proposal: Proposal, network: nn.Module, recipe: "Recipe", epochs: int) -> Mapping[str, Tensor]:
        """The weights of a network that was trained on at a lower rate."""
        shorter = replace(recipe, epochs=epochs, lr=recipe.lr * RATE)
        training = Training(network, shorter, self.data, self.device, proposal, self.context)
        training.run(epochs)
        left = training.saved(epochs)
        [weights] = [self.context.folder / artifact.path for artifact in left if artifact.kind == "weights"]
        tensors, _ = checkpoints.load(weights)
        for artifact in left:  # What is finished is kept under a name of its own.
            (self.context.folder / artifact.path).unlink(missing_ok=True)
        return {name: tensors[name] for name in network.state_dict()}

    def _record(self, source: "_Source", proposal: Proposal, product: Product, started: float) -> None:
        """Measure what was made, and write it into the study, all at once: an interruption leaves nothing half done."""
        main = self._tested(source, proposal, product)
        parts = {"finishing": replace(main, seconds=time.monotonic() - started)}
        for name, evaluator in self.others.items():
            if product.file is not None and isinstance(evaluator, LatencyEvaluator):
                parts[name] = self._timed(evaluator, proposal, product)
            else:
                parts[name] = attempt(evaluator, proposal, self.context)
        whole = Evaluation(proposal)
        for part in parts.values():
            whole = judged(whole.joined(part), self.study.constraints)
        if whole.status is Status.OK:
            whole = replace(whole, reason=product.note)
        [id] = self.writer.ask([(proposal, text(proposal.architecture))])
        *first, last = parts.items()
        for name, part in first:
            self.writer.tell_part(id, name, part)
        self.writer.tell(id, whole, *last)

    def _tested(self, source: "_Source", proposal: Proposal, product: Product) -> Evaluation:
        """The task's measures of what was made, and those of the probes; its weights, and its file, as artifacts."""
        folder, about = self.context.folder, {"digest": proposal.digest, "architecture": text(proposal.architecture)}
        if product.file is None:
            network = source.loaded(product, self.data).to(self.device, memory_format=torch.channels_last)
            device = self.device
        else:
            network, device = OnnxNetwork(product.file), "cpu"
        metrics, confusions = self._measured(network, device, proposal, product)
        stem = f"{proposal.digest}-{FINISHED}"
        path = checkpoints.save(folder, stem, dict(product.state), about)
        artifacts: list[Artifact] = [checkpoints.artifact(folder, path, "weights")]
        artifacts += confusion.kept(folder, stem, self.data.classes, confusions)
        if product.file is not None:
            kept = path.with_name(f"{stem}.onnx")
            kept.write_bytes(product.file.read_bytes())
            artifacts.append(checkpoints.artifact(folder, kept, FILE))
        return Evaluation(proposal, metrics=metrics, artifacts=tuple(artifacts))

    def _measured(
        self, network: nn.Module, device: str, proposal: Proposal, product: Product
    ) -> tuple[tuple[Metric, ...], dict[str, Tensor | None]]:
        """The metrics of what was made, and of each split what was taken for what."""
        steps = " ".join(map(spelled, proposal.architecture.steps))
        provenance = Provenance(
            device="" if device == "cpu" else torch.cuda.get_device_name(),
            runtime="torch" if product.file is None else "onnxruntime",
            runtime_version=str(torch.__version__) if product.file is None else _version_of_onnxruntime(),
            precision=product.precision,
            input_shape=self.data.inputs,
            protocol=f"finished by {steps} data={self.data.sha256[:8]} seed={self.context.seed}",
        )
        found: list[Metric] = []
        confusions: dict[str, Tensor | None] = {}
        for prefix, split in (("", self.data.validation), ("test_", self.data.test)):
            tally = tested(network, Feed(self.data, split, device).batches(EVALUATION_BATCH), self.data.task)
            found += tally.metrics(provenance, prefix)
            confusions["test" if prefix else "validation"] = tally.confusion
        probes = self.main.probes if isinstance(self.main, TrainingEvaluator) else ()
        found += probed(probes, network, self.data, device, self.context.seed, provenance)
        bad = next((metric for metric in found if metric.value - metric.value != 0), None)
        if bad is not None:
            raise Diverged(f"{bad.name} of the finished network is {bad.value}; heal it for fewer epochs")
        return tuple(found), confusions

    def _timed(self, evaluator: LatencyEvaluator, proposal: Proposal, product: Product) -> Evaluation:
        """The latency of the file itself, for the device's batch."""
        started = time.monotonic()
        assert product.file is not None
        try:
            fixed = with_batch(product.file, evaluator.profile.batch, product.file.with_name("timed.onnx"))
            timed = measure_file(fixed, evaluator.profile, self.context.timeout_s, evaluator.effort)
            found = Evaluation(proposal, metrics=timed.metrics())
        except Exception as error:
            status, reason = outcome_of(error)
            found = Evaluation(proposal, status, f"latency: {reason}")
        return replace(found, seconds=time.monotonic() - started)


@dataclass(frozen=True)
class _Source:
    """A candidate that is finished: its network alone, its weights, its recipe, and what it was made of and by."""

    candidate: Candidate
    network: Part
    state: Mapping[str, Tensor]
    recipe: "Recipe"
    steps: tuple[str, ...]
    root: str

    @classmethod
    def of(cls, work: _Work, candidate: Candidate) -> "_Source":
        if any(artifact.kind == FILE for artifact in candidate.artifacts):
            made_of = work.study.candidate(candidate.rows[-1].parents[0]).number
            raise WrongUse(
                f"candidate {candidate.number} is an ONNX file, of which nothing can be made; "
                f"finish candidate {made_of}, which it was made of"
            )
        architecture = from_json(candidate.architecture)
        finished = isinstance(architecture, Finished)
        steps, root = (architecture.steps, architecture.of) if finished else ((), candidate.digest)
        file = artifact_file(work.study, candidate)
        state = state_in(file, architecture, work.data.inputs, work.data.outputs)
        begun = from_json(work.study.candidate(root).architecture) if finished else architecture
        main, data = work.main, work.data
        recipe = main.recipe_of(begun, data) if isinstance(main, TrainingEvaluator) else default_recipe(data)
        return cls(candidate, without_recipe(architecture), state, recipe, tuple(steps), root)

    def loaded(self, product: Product, data: DataSet) -> nn.Module:
        """What was made, with its weights."""
        network = build(product.architecture, data.inputs, data.outputs, seed=0)
        network.load_state_dict(dict(product.state))
        return network


def _version_of_onnxruntime() -> str:
    from importlib.metadata import version

    return version("onnxruntime")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


__all__ = ["FILE", "Outcome", "finish"]

"""A training as a trial of Ray Tune: one epoch a step, by the evaluator's own lower fidelities."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from math import nan
from pathlib import Path
from typing import Any

from ray import tune

from archfront.contracts import Artifact, Evaluation, Objective, Proposal, Status
from archfront.plan import Experiment, Plan
from archfront.trials.tuning import EPOCHS, SCORE
from search_spaces.canonical import to_json
from search_spaces.parts import without_recipe


@dataclass
class Progress:
    """How far a trial's training is.

    `weights` is the checkpoint to go on from. `schedule` says which hyper-parameters were in force from which epoch on,
    and which candidate they were taken from. `files` and `behind` are what the last step left, and the one before.
    """

    epochs: int = 0
    seconds: float = 0.0
    weights: str = ""
    schedule: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)


class EpochwiseTraining(tune.Trainable):
    """Trains a candidate epoch by epoch: each step evaluates it at one epoch more, from the last step's checkpoint.

    The evaluators' contract is that this ends with the weights of a training that never stopped. All files go to the
    launcher's staging folder, from where it takes those of the last step. Which job a trial works on stands there under
    the trial's id, not in its configuration, which population based training copies from one trial to another.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Take the first trial; the data set and the evaluators are made once, for all trials of this process."""
        about = json.loads((Path(config["staging"]) / "plan.json").read_text())
        self._score = Objective.parse(about["objective"]) if about["objective"] else None
        # Tune has changed the folder; the plan's paths are relative to the one before.
        os.chdir(os.environ["TUNE_ORIG_WORKING_DIR"])
        self._experiment = Experiment(Plan.from_json(about["plan"]))
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another trial; its checkpoint follows by `load_checkpoint`, where it has one."""
        os.chdir(os.environ["TUNE_ORIG_WORKING_DIR"])
        self._staging = Path(new_config["staging"])
        self._changes: dict[str, Any] = dict(new_config["recipe"])
        self._job: dict[str, Any] = json.loads((self._staging / f"{self.trial_id}.json").read_text())
        self._architecture = self._experiment.space.from_json(json.loads(self._job["architecture"]))
        checkpoint = self._job["checkpoint"]
        self._at = Progress(weights=str(self._folder / checkpoint) if checkpoint else "")
        if self._changes:
            self._at.schedule = [{"after": 0, **self._changes}]
        return True

    @property
    def _folder(self) -> Path:
        return self._experiment.context.folder

    @property
    def _network(self) -> str:
        """The identity of the network alone, whatever recipe the candidate brings."""
        network = without_recipe(self._architecture)
        return str(self._job["digest"] if network is self._architecture else self._experiment.space.digest(network))

    def step(self) -> dict[str, Any]:
        """One epoch more, up to the proposal's fidelity; an outcome other than `ok` ends the trial."""
        full = self._job["fidelity"] or self._experiment.main.epochs(self._experiment.context)
        # What the study has at a lower fidelity can't be stopped there once more.
        until = min(full, max(self._at.epochs, self._job["trained"]) + 1)
        evaluation = self._evaluated(until, until == full)
        ok = evaluation.status is Status.OK
        if ok:
            self._moved_on(until, evaluation.artifacts)
        self._at.seconds += evaluation.seconds
        self._write_own()
        values = evaluation.values
        return {
            EPOCHS: until,
            SCORE: values.get(self._score.metric, nan) if self._score and ok else nan,
            "evaluation": json.dumps(replace(evaluation, seconds=self._at.seconds).to_json()),
            "schedule": json.dumps(self._at.schedule),
            "done": until == full or not ok,
        }

    def _evaluated(self, until: int, last: bool) -> Evaluation:
        """The candidate after `until` epochs; errors are outcomes."""
        from evaluators.base import attempt

        plan, job = self._experiment.plan, self._job
        fidelity = job["fidelity"] if last else until
        proposal = Proposal(self._trained(self._architecture), job["digest"], fidelity, number=job["number"])
        left = None if plan.timeout_s is None else plan.timeout_s - self._at.seconds
        context = replace(
            self._experiment.context,
            folder=self._staging,
            checkpoint=Path(self._at.weights) if self._at.weights else None,
            parents=tuple(self._folder / path for path in job["parents"]),
            timeout_s=left,
        )
        evaluation = attempt(self._experiment.main, proposal, context)
        if evaluation.status is Status.TIMED_OUT:
            reason = f"took longer than {plan.timeout_s:g} s and was stopped in epoch {until}"
            return replace(evaluation, reason=f"{self._experiment.main.name}: {reason}")
        if len(self._at.schedule) < 2:
            return evaluation
        # The recipe's hash in the protocol is of the last epochs alone.
        mark = f" schedule={sha256(json.dumps(self._at.schedule).encode()).hexdigest()[:8]}"
        metrics = (
            replace(metric, provenance=replace(metric.provenance, protocol=metric.provenance.protocol + mark))
            for metric in evaluation.metrics
        )
        return replace(evaluation, metrics=tuple(metrics))

    def _trained(self, architecture: Any) -> Any:
        """The architecture with the hyper-parameters that this trial has now."""
        if not self._changes:
            return architecture
        from evaluators.recipes.partial import PartialRecipe
        from search_spaces.topologies import Trained

        network = without_recipe(architecture)
        own = PartialRecipe() if network is architecture else architecture.recipe
        return Trained(network, replace(own, **self._changes))

    def _moved_on(self, epochs: int, artifacts: tuple[Artifact, ...]) -> None:
        """Remember what the step left; its predecessor's files stay, in case this process dies before Tune knows."""
        if not self._changes:  # in a population others may still take them over
            for path in self._at.behind:
                (self._staging / path).unlink(missing_ok=True)
        self._at.epochs = epochs
        self._at.behind, self._at.files = self._at.files, [artifact.path for artifact in artifacts]
        weights = [artifact.path for artifact in artifacts if artifact.kind == "weights"]
        self._at.weights = str(self._staging / weights[0]) if weights else ""

    def _write_own(self) -> None:
        """Keep this trial's progress where it finds it again after Tune has given it another's checkpoint."""
        path = self._staging / f"{self.trial_id}.own.json"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(self._at)))
        os.replace(draft, path)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Where the weights are, and of which trial; the weights themselves lie in the staging folder."""
        value = {"trial": self.trial_id, "digest": self._job["digest"], "network": self._network}
        (Path(checkpoint_dir) / "progress.json").write_text(json.dumps({**value, "at": asdict(self._at)}))

    def load_checkpoint(self, checkpoint: str | dict[str, Any] | None) -> None:
        """Go on where the trial was; with another trial's checkpoint, exploit that one."""
        if not isinstance(checkpoint, str):
            return
        found = json.loads((Path(checkpoint) / "progress.json").read_text())
        if found["trial"] == self.trial_id:
            self._at = Progress(**found["at"])
            return
        own = Progress(**json.loads((self._staging / f"{self.trial_id}.own.json").read_text()))
        self._exploit(Progress(**found["at"]), own, found)

    def _exploit(self, other: Progress, own: Progress, found: Mapping[str, Any]) -> None:
        """Take the other's hyper-parameters (perturbed by Tune), and its weights where they are of the same network."""
        same = found["network"] == self._network
        source = other if same else own
        change = {"after": source.epochs, "of": found["digest"], "weights": same, **self._changes}
        self._at = replace(own, epochs=source.epochs, schedule=[*source.schedule, change])
        if source.weights and source.epochs:
            self._at.weights = str(self._adopted(Path(source.weights), len(self._at.schedule)))

    def _adopted(self, path: Path, number: int) -> Path:
        """A copy of a checkpoint and its optimizer's state under this candidate's name and present recipe."""
        from evaluators import checkpoints

        main: Any = self._experiment.main
        recipe = to_json(main.recipe_of(self._trained(self._architecture), self._experiment.data))
        stem = f"{self._job['digest']}-taken{number}"
        for suffix in (checkpoints.OPTIMIZER, checkpoints.SUFFIX):
            beside = path.with_name(path.name.removesuffix(checkpoints.SUFFIX) + suffix)
            tensors, about = checkpoints.load(beside)
            about |= {"digest": self._job["digest"], "recipe": recipe}
            found = checkpoints.save(self._staging, stem, tensors, about, suffix)
        return found

"""The accuracy that a candidate has with the weights it inherits from a trained supernet: no training of its own."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archfront.contracts import Artifact, Context, Evaluation, Metric, Proposal, Provenance, WrongUse
from evaluators import checkpoints
from evaluators.base import EVALUATORS, Evaluator
from evaluators.candidate_training import threads_set, training_device
from evaluators.datasets import DataSet, Feed
from evaluators.inherited_weights import BATCH, IMAGES, InheritedWeights, about_supernet
from evaluators.tasks import Task
from evaluators.tasks.classification import Classification
from evaluators.tested import EVALUATION_BATCH, tested
from search_spaces import canonical


@EVALUATORS.register("supernet", source="Understanding and Simplifying One-Shot Architecture Search")
class SupernetEvaluator(Evaluator):
    """The task's measures on validation and test data, with weights inherited from a supernet.

    `folder` is where `archfront supernet train` left the supernet. Before a network is tested, its batch
    normalization statistics are set to those that it has on `images` training pictures, `batch_size` at a time;
    networks without batch normalization need none. `test=False` leaves the test data out. `keep=True` leaves each
    network's weights behind, as a training does. `device` is "cpu", "cuda" or "auto". Results are a function of the
    architecture alone; the seed plays no part.
    """

    name = "supernet"
    by_task = True
    argument = "folder"

    def __init__(
        self,
        folder: str,
        images: int = IMAGES,
        batch_size: int = BATCH,
        test: bool = True,
        keep: bool = False,
        device: str = "auto",
    ) -> None:
        for name, value, least in (("images", images, 2), ("batch_size", batch_size, 2)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise WrongUse(f"{name}={value!r} must be an integer of {least} or more")
        if not folder:
            raise WrongUse("say where the supernet is: supernet:FOLDER")
        self._folder, self._images, self._batch, self._test, self._keep = Path(folder), images, batch_size, test, keep
        self._device = training_device(device)
        self.resource = "gpu" if self._device == "cuda" else "cpu"
        self._source: InheritedWeights | None = None
        self._splits: dict[str, Feed] = {}
        self._task: Task | type[Task] = Classification

    @classmethod
    def brings(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The supernet's own space and data, split as they were when it was trained."""
        about = about_supernet(Path(settings["folder"]))
        return {key: about[key] for key in ("space", "data", "data_settings")}

    @classmethod
    def supernet_folder(cls, settings: Mapping[str, Any]) -> str:
        return str(settings.get("folder", ""))

    def suit(self, data: Any) -> None:
        self._task = getattr(data, "task", None) or Classification

    def objectives(self) -> tuple[str, ...]:
        return (self._task.measures[0], "latency_ms")

    def metrics(self) -> tuple[str, ...]:
        measures = self._task.measures
        return (*measures, *(f"test_{name}" for name in measures if self._test))

    @property
    def source(self) -> InheritedWeights:
        """The supernet; there after `prepare`."""
        assert self._source is not None
        return self._source

    def identity(self) -> str:
        """The hash of the supernet's weights."""
        return self.source.sha256

    def prepare(self, context: Context) -> None:
        if self._source is None:
            if not isinstance(context.data, DataSet):
                raise WrongUse("the evaluator 'supernet' needs the supernet's data set; leave --data and --space out")
            self._source = InheritedWeights(self._folder, context.data, self._device, self._images, self._batch)
            self._splits[""] = Feed(context.data, context.data.validation, self._device)
            if self._test:
                self._splits["test_"] = Feed(context.data, context.data.test, self._device)

    def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
        started = time.monotonic()
        self.prepare(context)
        with threads_set(context.threads), self.source.active(proposal.architecture) as supernet:
            metrics: list[Metric] = []
            until = None if context.timeout_s is None else started + context.timeout_s
            for prefix, feed in self._splits.items():
                tally = tested(supernet.network, feed.batches(EVALUATION_BATCH), context.data.task, until)
                metrics += tally.metrics(self._provenance(context), prefix)
            left = self._left(supernet.network, proposal, context) if self._keep else ()
        return Evaluation(proposal, metrics=tuple(metrics), artifacts=left)

    def _provenance(self, context: Context) -> Provenance:
        words = ["inherited weights", f"supernet={self.source.sha256[:8]}", f"recalibrated={self._images} images"]
        if self.source.unfinished:
            words.append(f"supernet trained for {self.source.unfinished}")
        return Provenance(
            device="" if self._device == "cpu" else torch.cuda.get_device_name(),
            runtime="torch",
            runtime_version=str(torch.__version__),
            precision="float32",
            input_shape=context.data.inputs,
            protocol=" ".join([*words, f"data={context.data.sha256[:8]}"]),
        )

    def _left(self, network: nn.Module, proposal: Proposal, context: Context) -> tuple[Artifact, ...]:
        about = {
            "digest": proposal.digest,
            "supernet": self.source.sha256,
            "architecture": canonical.to_json(proposal.architecture),
        }
        path = checkpoints.save(context.folder, f"{proposal.digest}-inherited", network.state_dict(), about)
        return (checkpoints.artifact(context.folder, path, "weights"),)

"""The accuracy that a candidate has with the weights it inherits from a trained supernet: no training of its own."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from archfront.contracts import Artifact, Context, Evaluation, Metric, Proposal, Provenance, WrongUse
from evaluators import checkpoints
from evaluators.base import EVALUATORS, Evaluator
from evaluators.candidate_training import threads_set, training_device
from evaluators.datasets import DataSet, Split
from evaluators.inherited_weights import BATCH, IMAGES, InheritedWeights, about_supernet
from evaluators.intervals import accuracy
from hardware_profiles import quiet
from search_spaces import canonical

EVALUATION_BATCH = 256


@EVALUATORS.register("supernet", source="Understanding and Simplifying One-Shot Architecture Search")
class SupernetEvaluator(Evaluator):
    """Accuracy and loss on validation data, and test_accuracy, with weights inherited from a supernet.

    `folder` is where `archfront supernet train` left the supernet. Before a network is tested, its batch
    normalization statistics are set to those that it has on `images` training pictures, `batch_size` at a time;
    networks without batch normalization need none. `test=False` leaves test_accuracy out. `keep=True` leaves each
    network's weights behind, as a training does. `device` is "cpu", "cuda" or "auto". Results are a function of the
    architecture alone; the seed plays no part.
    """

    name = "supernet"
    argument = "folder"
    default_objectives = ("accuracy", "latency_ms")

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
        self._splits: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}

    @classmethod
    def brings(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The supernet's own space and data, split as they were when it was trained."""
        about = about_supernet(Path(settings["folder"]))
        return {key: about[key] for key in ("space", "data", "data_settings")}

    @classmethod
    def supernet_folder(cls, settings: Mapping[str, Any]) -> str:
        return str(settings.get("folder", ""))

    def metrics(self) -> tuple[str, ...]:
        return ("accuracy", "test_accuracy", "loss") if self._test else ("accuracy", "loss")

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
            self._splits["validation"] = self._batches(context.data, context.data.validation)
            if self._test:
                self._splits["test"] = self._batches(context.data, context.data.test)

    def _batches(self, data: DataSet, split: Split) -> list[tuple[torch.Tensor, torch.Tensor]]:
        images = data.normalized(split.images).to(self._device, memory_format=torch.channels_last)
        return list(
            zip(images.split(EVALUATION_BATCH), split.labels.to(self._device).split(EVALUATION_BATCH), strict=True)
        )

    def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
        started = time.monotonic()
        self.prepare(context)
        with threads_set(context.threads), self.source.active(proposal.architecture) as supernet:
            metrics = []
            for name, batches in self._splits.items():
                correct, loss, total = tested(supernet.network, batches)
                metrics += self._metrics(name, correct, loss, total, context)
                if context.timeout_s is not None and time.monotonic() - started > context.timeout_s:
                    raise TimeoutError(f"testing took longer than {context.timeout_s:g} s")
            left = self._left(supernet.network, proposal, context) if self._keep else ()
        return Evaluation(proposal, metrics=tuple(metrics), artifacts=left)

    def _metrics(self, split: str, correct: int, loss: float, total: int, context: Context) -> list[Metric]:
        how = self._provenance(context)
        if split == "test":
            return [accuracy("test_accuracy", correct, total, how)]
        return [accuracy("accuracy", correct, total, how), Metric("loss", loss, "nats", provenance=how)]

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


def tested(network: nn.Module, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[int, float, int]:
    """Of a network in evaluation mode: pictures classified correctly, mean cross-entropy, and how many there were."""
    correct, loss, total = 0, 0.0, 0
    with torch.no_grad():
        for images, labels in batches:
            with quiet.training_step():
                outputs = network(images).float()
            correct += int((outputs.argmax(1) == labels).sum())
            loss += float(functional.cross_entropy(outputs, labels, reduction="sum"))
            total += len(labels)
    return correct, loss / total, total

"""Accuracy on inputs that were moved against the network, one step by the sign of the gradient."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from archfront.contracts import Provenance, WrongUse
from evaluators.datasets import DataSet, Feed, Split
from evaluators.probes.probe import PROBES, Probe
from evaluators.tested import EVALUATION_BATCH, tested
from hardware_profiles import quiet


@PROBES.register(
    "fgsm",
    source="Evaluating Adversarial Robustness: A Comparison Of FGSM, Carlini-Wagner Attacks, And The Role of "
    "Distillation as Defense Mechanism",
)
class Fgsm(Probe):
    """Accuracy on x + `epsilon` sign(d loss / d x): the fast gradient sign method.

    x are prepared inputs, so `epsilon` is in units of their standard deviation. One weak attack is no measure of
    robustness, as the publication shows: a network that withstands this one may not withstand another.
    """

    name = "fgsm"
    measures = {"fgsm_accuracy": ("max", "fraction", "accuracy on inputs that were moved against the network")}

    def __init__(self, epsilon: float = 0.1) -> None:
        if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not epsilon > 0:
            raise WrongUse(f"the probe 'fgsm' takes an epsilon above 0, not {epsilon!r}")
        self._epsilon = float(epsilon)

    def refuses(self, data: DataSet) -> str:
        if data.medium == "tokens":
            return "tokens can't be moved along a gradient"
        return "" if "accuracy" in data.task.measures else f"it measures accuracy, which {data.task.name} doesn't have"

    def probed(self, network: nn.Module, data: DataSet, device: str, seed: int) -> Mapping[str, float]:
        was = network.training
        found = {
            f"{prefix}fgsm_accuracy": self._accuracy(network.eval(), data, split, device)
            for prefix, split in (("", data.validation), ("test_", data.test))
        }
        network.train(was)
        return found

    def _accuracy(self, network: nn.Module, data: DataSet, split: Split, device: str) -> float:
        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            for inputs, targets in Feed(data, split, device).batches(EVALUATION_BATCH):
                yield self.moved(network, data, inputs, targets), targets

        measured = tested(network, batches(), data.task).metrics(Provenance())
        return next(metric.value for metric in measured if metric.name == "accuracy")

    def moved(self, network: nn.Module, data: DataSet, inputs: Tensor, targets: Tensor) -> Tensor:
        """The inputs after the step; the network's weights get no gradients."""
        # Testing runs in inference mode, in which no graph can be made.
        with torch.inference_mode(False), torch.enable_grad(), quiet.training_step():
            own = inputs.detach().clone().requires_grad_()
            (gradient,) = torch.autograd.grad(data.task.loss(network(own), targets.clone()), own)
        return (own + self._epsilon * gradient.sign()).detach()

"""The evaluator of zero-cost proxies."""

import copy
import inspect
import time
from collections.abc import Sequence
from math import isfinite

import torch
from torch import Tensor, nn
from torch.nn import functional

from archfront.contracts import Context, Evaluation, Metric, Proposal, Provenance, Status, WrongUse
from evaluators.base import EVALUATORS, Evaluator
from evaluators.candidate_training import seed_of, threads_set
from evaluators.datasets import DataSet, laid_out
from evaluators.zero_cost.proxy import PROXIES, Loss, Proxy
from hardware_profiles import quiet
from search_spaces.building import build
from search_spaces.errors import SpaceError


@EVALUATORS.register("zero_cost", source="Zero-Cost Proxies for Lightweight NAS")
class ZeroCostEvaluator(Evaluator):
    """A metric per zero-cost proxy, each the higher the better: a second instead of a training, and far less certain.

    `proxies` are names of `PROXIES` (default: all; in `zero_cost:synflow,naswot` after the colon), `batch_size` the
    training pictures that they look at, without augmentation: for one seed the same ones for all candidates. The
    network has the initial weights that a training with that seed starts from. Scores are facts of that network, so
    they are measured, not predicted, metrics; they are no accuracies, and rank candidates of one space at best.

    On one core, a proxy takes 0.1 to 0.7 s for a network of 10 to 55 M multiply-accumulates; GraSP takes three times
    as long as the dearest of the others.

    A score that isn't finite has no place among metrics: it is left out, and the reason names it. Where none is
    finite, the evaluation is recorded as diverged.
    """

    name = "zero_cost"
    by_task = True
    resource = "cpu"
    argument = "proxies"

    def __init__(self, proxies: str | Sequence[str] = (), batch_size: int = 32) -> None:
        names = proxies.split(",") if isinstance(proxies, str) else proxies
        try:
            self._proxies = {name.strip(): PROXIES.get(name.strip()) for name in names or PROXIES.names()}
        except SpaceError as error:
            raise WrongUse(str(error)) from None
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 2:
            raise WrongUse(f"batch_size must be an integer of 2 or more, not {batch_size!r}")
        self._batch_size = batch_size

    def metrics(self) -> tuple[str, ...]:
        return tuple(name.rpartition(":")[2] for name in self._proxies)

    def prepare(self, context: Context) -> None:
        if not isinstance(context.data, DataSet):
            raise WrongUse("zero-cost proxies need a batch of a data set; name one, as with --data digits")

    def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
        self.prepare(context)
        dataset: DataSet = context.data
        model = build(proposal.architecture, dataset.inputs, dataset.outputs, seed_of(context, proposal, "weights"))
        inputs, targets = batch(dataset, self._batch_size, context.seed)
        with threads_set(context.threads):
            seed = seed_of(context, proposal, "proxies")
            found = scores(model, inputs, targets, tuple(self._proxies), seed, context.timeout_s, dataset.task.loss)
        provenance = Provenance(
            runtime="torch",
            runtime_version=str(torch.__version__),
            precision="float32",
            threads=context.threads,
            batch=len(inputs),
            input_shape=dataset.inputs,
            protocol=f"untrained data={dataset.sha256[:8]} seed={context.seed}",
        )
        metrics = tuple(
            Metric(name.rpartition(":")[2], value, "score", provenance=provenance)
            for name, value in found.items()
            if isfinite(value)
        )
        missing = [name for name, value in found.items() if not isfinite(value)]
        reason = f"zero_cost: not finite: {', '.join(missing)}" if missing else ""
        return Evaluation(proposal, Status.OK if metrics else Status.DIVERGED, reason, metrics)


def batch(dataset: DataSet, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Up to `size` different training examples, prepared, and their targets, drawn with `seed`."""
    order = torch.randperm(dataset.train.size, generator=torch.Generator().manual_seed(seed))
    chosen = order[:size]
    return dataset.prepared(dataset.train.inputs[chosen]), dataset.task.targets(dataset.train.targets[chosen])


def scores(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    proxies: Sequence[str] = (),
    seed: int = 0,
    timeout_s: float | None = None,
    loss: Loss = functional.cross_entropy,
) -> dict[str, float]:
    """The proxies' scores (default: all) of an untrained network on inputs (n, ...), by the `loss` of the task.

    `model` is left as it was; each proxy gets a copy. Random draws come from `seed`, and torch's global generator is
    left as it was. Raises `TimeoutError` after the proxy during which `timeout_s` passed.
    """
    started, found = time.monotonic(), {}
    # The layout that convolutions are fastest in: half the time for the networks of NAS-Bench-201.
    inputs = laid_out(inputs)
    for name in proxies or PROXIES.names():
        own = copy.deepcopy(model).to(memory_format=torch.channels_last).train()
        with quiet.training_step(), torch.enable_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                found[name] = _score(PROXIES.get(name), own, inputs, targets, loss)
            except torch.linalg.LinAlgError:
                # A decomposition of what has overflowed.
                found[name] = float("nan")
        if timeout_s is not None and time.monotonic() - started > timeout_s:
            raise TimeoutError(f"zero-cost proxies took longer than {timeout_s:g} s")
    return found


def _score(proxy: Proxy, model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss) -> float:
    """A proxy's score; those that don't ask for the loss know nothing of it."""
    asks = {"loss": loss} if "loss" in inspect.signature(proxy).parameters else {}
    return float(proxy(model, inputs, targets, **asks))

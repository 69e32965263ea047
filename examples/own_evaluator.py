"""An evaluator of one's own: what an untrained network says about itself, without training.

archfront search --evaluator examples/own_evaluator.py:GradientNorm --data digits --objective gradient_norm:max \
    --objective params --evaluations 50
"""

import torch

from archfront.contracts import Context, Evaluation, Metric, Proposal
from evaluators.base import Evaluator
from search_spaces.building import build


class GradientNorm(Evaluator):
    """The norm of the loss's gradient at initialization ("Zero-Cost Proxies for Lightweight NAS")."""

    name = "gradient_norm"
    resource = "cpu"

    def __init__(self, batch: int = 32) -> None:
        self.batch = batch

    def metrics(self) -> tuple[str, ...]:
        return ("gradient_norm",)

    def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
        data = context.data
        inputs, targets = (split[: self.batch] for split in data.train)
        model = build(proposal.architecture, context.inputs, context.outputs, seed=context.seed)
        data.task.loss(model(data.prepared(inputs)), data.task.targets(targets)).backward()
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm().item()
        return Evaluation(proposal, metrics=(Metric("gradient_norm", norm),))

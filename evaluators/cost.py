"""What a network costs by its architecture alone: parameters, multiply-accumulates, activations."""

import torch

from archfront.contracts import METRICS, Context, Evaluation, Metric, Proposal, Provenance, Summary
from evaluators.base import EVALUATORS, Evaluator
from evaluators.datasets import DataSet
from search_spaces.building import build
from search_spaces.counting import EXAMPLES, TRACED, count


@EVALUATORS.register("cost")
class CostEvaluator(Evaluator):
    """params, macs and activations, counted on the network in its searched form.

    Where they depend on the data, as in networks with routing, they are means over the same few training examples for
    all candidates, with their spread as summary; without data, over random ones, and the protocol says so.
    """

    name = "cost"
    doing = "counting the size of"
    resource = "cpu"
    cheap = True
    network_alone = True

    def metrics(self) -> tuple[str, ...]:
        return ("params", "macs", "activations")

    def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
        # On the CPU, not the meta device: there is no tracing convolutions there, nor running them on examples.
        model = build(proposal.architecture, context.inputs, context.outputs, seed=0)
        found = count(model, context.inputs, examples(context))
        provenance = Provenance() if found.how == TRACED else Provenance(protocol=found.how)

        def metric(name: str, value: float, spread: Summary | None = None) -> Metric:
            return Metric(name, float(value), METRICS[name][1], summary=spread, provenance=provenance)

        metrics = (
            metric("params", found.params),
            metric("macs", found.macs, found.macs_spread),
            metric("activations", found.activations, found.activations_spread),
        )
        return Evaluation(proposal, metrics=metrics)


def examples(context: Context) -> torch.Tensor | None:
    """A few training examples from all over the data set, as a network takes them; None without data."""
    if not isinstance(context.data, DataSet):
        return None
    inputs = context.data.train.inputs
    return context.data.prepared(inputs[:: max(1, len(inputs) // EXAMPLES)][:EXAMPLES])

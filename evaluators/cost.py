"""What a network costs by its architecture alone: parameters, multiply-accumulates, activations."""

import warnings
from collections.abc import Callable
from math import prod
from typing import Any

import torch
from fvcore.nn.jit_handles import conv_flop_jit, einsum_flop_jit, get_shape
from torch import nn

from archfront.contracts import METRICS, Context, Evaluation, Metric, Proposal
from evaluators.base import EVALUATORS, Evaluator
from search_spaces.building import build

Values = list[Any]
Macs = Callable[[Values, Values], float]


def _output(outputs: Values) -> int:
    """Elements of an operator's first output."""
    return prod(get_shape(outputs[0]) or [0])


def _shape(value: Any) -> list[int]:
    shape = get_shape(value)
    if shape is None:
        raise NotImplementedError("an operator whose sizes aren't known can't be counted")
    return shape


def _matmul(inputs: Values, outputs: Values) -> float:
    """One multiply-accumulate per output element and element of the contracted dimension; any broadcast."""
    return _output(outputs) * _shape(inputs[0])[-1]


def _second(inputs: Values, outputs: Values) -> float:
    """A matrix product whose operands follow a summand: addmm, baddbmm."""
    return _output(outputs) * _shape(inputs[1])[-1]


def _attention(inputs: Values, outputs: Values) -> float:
    """Scores and weighted sum: queries × keys × (width of a key + width of a value), for each head."""
    query, key, value = (_shape(item) for item in inputs[:3])
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _convolution(inputs: Values, outputs: Values) -> float:
    return float(sum(conv_flop_jit(inputs, outputs).values()))


def _bilinear(inputs: Values, outputs: Values) -> float:
    return _output(outputs) * _shape(inputs[0])[-1] * _shape(inputs[1])[-1]


MACS: dict[str, Macs] = {
    "aten::_convolution": _convolution,
    "aten::linear": _matmul,
    "aten::matmul": _matmul,
    "aten::mm": _matmul,
    "aten::bmm": _matmul,
    "aten::mv": _matmul,
    "aten::dot": _matmul,
    "aten::addmm": _second,
    "aten::baddbmm": _second,
    "aten::einsum": lambda inputs, outputs: float(einsum_flop_jit(inputs, outputs)),
    "aten::scaled_dot_product_attention": _attention,
    "aten::bilinear": _bilinear,
}
"""How the multiply-accumulates of an operator are counted; a part with an operator of its own adds it here."""
UNCOUNTED = (
    "aten::lstm",
    "aten::gru",
    "aten::rnn",
    "aten::fft",
    "aten::cdist",
    "aten::_native_multi_head",
    "aten::stft",
    "prim::PythonOp",
)
"""Operators that multiply and have no count: a network with one is refused, not counted too low."""


def count(model: nn.Module, inputs: tuple[int, ...]) -> dict[str, int]:
    """Trainable parameters, and the multiply-accumulates and activations of one forward pass of one input.

    `inputs` is the shape of one input, without a batch. Counted are convolutions, linear layers, matrix products and
    attention; normalizations and elementwise operators count nothing, since they fold or cost little. `model` is
    left in the mode it was in. Raises `NotImplementedError` for an operator that can't be counted.
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    training = model.training
    model.eval()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            # What fvcore's analysis traces with; without its accounts per module, which take half of its time.
            graph, _ = torch.jit._get_trace_graph(model, (torch.zeros((1, *inputs), device=device),))
    finally:
        model.train(training)
    macs, activations = 0.0, 0
    for node in graph.nodes():
        name = node.kind()
        if name in MACS:
            operands, results = list(node.inputs()), list(node.outputs())
            macs += MACS[name](operands, results)
            activations += _output(results)
        elif not name.startswith(("aten::", "prim::")) or name.startswith(UNCOUNTED):
            raise NotImplementedError(f"the operator {name} has no count; add it to evaluators.cost.MACS")
    params = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return {"params": params, "macs": round(macs), "activations": activations}


@EVALUATORS.register("cost")
class CostEvaluator(Evaluator):
    """params, macs and activations, counted with fvcore on the network in its searched form."""

    name = "cost"
    resource = "cpu"
    cheap = True
    network_alone = True

    def metrics(self) -> tuple[str, ...]:
        return ("params", "macs", "activations")

    def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
        channels, height, width = context.inputs
        # On the CPU, not the meta device: tracing, which fvcore's counts need, can't trace convolutions there.
        model = build(proposal.architecture, (channels, height, width), context.outputs, seed=0)
        values = count(model, context.inputs)
        metrics = tuple(Metric(name, float(value), METRICS[name][1]) for name, value in values.items())
        return Evaluation(proposal, metrics=metrics)

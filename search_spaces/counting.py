"""What a network costs by its architecture alone: parameters, multiply-accumulates, activations.

A network whose path is the same for every input is traced once, and its operators are counted by their shapes. Where
a trace wouldn't be faithful, since the path depends on the data (experts, routing) or no tracer follows it (FFT,
recurrent layers, functions with gradients of their own), the operators that really run are counted on examples.
"""

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from math import log2, prod
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from archfront.contracts import Summary
from search_spaces.declarations import OPERATORS, Rule
from search_spaces.example_inputs import example_inputs, no_inputs

EXAMPLES = 16
"""On how many inputs a network is run whose path depends on them."""
TRACED, MEASURED, RANDOM = "traced", "measured", "measured on random inputs"


@dataclass(frozen=True)
class Counted:
    """What one input costs; means over the examples where the path depends on them, with their spread.

    `how` is "traced", "measured", or "measured on random inputs" where there were no examples.
    """

    params: int
    macs: float
    activations: float
    macs_spread: Summary | None = None
    activations_spread: Summary | None = None
    how: str = TRACED


def count(model: nn.Module, inputs: tuple[int, ...], examples: torch.Tensor | None = None) -> Counted:
    """Trainable parameters, and the multiply-accumulates and activations of one forward pass of one input.

    `inputs` is the shape of one input, without a batch; `examples`, of shape (n, *inputs), are inputs as they will be,
    of which up to `EXAMPLES` are looked at where the path depends on the data; without any, inputs are drawn from a
    standard normal distribution, always the same ones. Counted are convolutions, linear layers, matrix products,
    attention, Fourier transforms and what `@counts` declares; normalizations and elementwise operators count nothing,
    since they fold or cost little. `model` is left in the mode it was in. Raises `NotImplementedError` for an operator
    that multiplies and has no count.
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    params = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            like = torch.empty(0, device=device)
            nothing = no_inputs(model, inputs, like=like) if examples is None else torch.zeros_like(examples[:1])
            found = _traced(model, nothing.to(device))
            if found is not None:
                return Counted(params, *found)
            given = example_inputs(model, inputs, EXAMPLES) if examples is None else examples[:EXAMPLES]
            costs = _measured(model, given.to(device))
    finally:
        model.train(training)
    macs, activations = ([cost[i] for cost in costs] for i in range(2))
    how = RANDOM if examples is None else MEASURED
    return Counted(params, _mean(macs), _mean(activations), _spread(macs), _spread(activations), how)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _spread(values: list[float]) -> Summary | None:
    """The quantiles; None where all are equal."""
    if len(set(values)) == 1:
        return None
    p10, p50, p90, p99 = (float(value) for value in np.quantile(values, (0.1, 0.5, 0.9, 0.99)))
    return Summary(len(values), p10, p50, p90, p99)


# The rules: of inputs and outputs as `declarations.counts` describes them.

Values = list[Any]


def _matmul(inputs: Values, outputs: Values) -> float:
    """One multiply-accumulate per output element and element of the contracted dimension; any broadcast."""
    return prod(outputs[0]) * inputs[0][-1]


def _second(inputs: Values, outputs: Values) -> float:
    """A matrix product whose operands follow a summand: addmm, baddbmm."""
    return prod(outputs[0]) * inputs[1][-1]


def _summed(inputs: Values, outputs: Values) -> float:
    """addbmm, whose products of a batch are summed."""
    return prod(inputs[1]) * inputs[2][-1]


def _attention(inputs: Values, outputs: Values) -> float:
    """Scores and weighted sum: queries × keys × (width of a key + width of a value), for each head."""
    query, key, value = inputs[:3]
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _convolution(inputs: Values, outputs: Values) -> float:
    """A filter at each place of the output, or, transposed, of the input."""
    map_shape, weight, transposed = inputs[0], inputs[1], inputs[6]
    return map_shape[0] * prod(weight) * prod((map_shape if transposed else outputs[0])[2:])


def _bilinear(inputs: Values, outputs: Values) -> float:
    return prod(outputs[0]) * inputs[0][-1] * inputs[1][-1]


def _trilinear(inputs: Values, outputs: Values) -> float:
    """A product of three tensors, each with some dimensions of size one put in; what `bilinear` runs as."""
    shapes = []
    for shape, expand in zip(inputs[:3], inputs[3:6], strict=True):
        sizes = list(shape)
        for place in sorted(expand):
            sizes.insert(place, 1)
        shapes.append(sizes)
    return prod(torch.broadcast_shapes(*shapes))


def _einsum(inputs: Values, outputs: Values) -> float:
    """As numpy's best order of contraction has it."""
    equation, shapes = inputs[0].replace(" ", ""), inputs[1]
    about = np.einsum_path(equation, *(np.broadcast_to(0.0, shape) for shape in shapes), optimize="optimal")[1]
    return float(np.floor(float(about.lower().partition("optimized flop count:")[2].split()[0]) / 2))


def _distances(inputs: Values, outputs: Values) -> float:
    """One multiply-accumulate per pair of points and coordinate."""
    return prod(outputs[0]) * inputs[0][-1]


def _complex_fft(inputs: Values, outputs: Values) -> float:
    """2·N·log2 N real multiply-accumulates for N points: N/2·log2 N butterflies with a complex product, four, each."""
    return _fft(inputs[0], inputs[1])


def _real_fft(inputs: Values, outputs: Values) -> float:
    """Half of a complex transform, from real numbers or back to them."""
    return _fft(max(inputs[0], outputs[0], key=prod), inputs[1]) / 2


def _fft(shape: tuple[int, ...], dimensions: list[int]) -> float:
    return 2 * prod(shape) * log2(prod(shape[d] for d in dimensions))


PRODUCTS: dict[str, Rule] = {
    "aten::_convolution": _convolution,
    "aten::convolution": _convolution,
    "aten::linear": _matmul,
    "aten::matmul": _matmul,
    "aten::mm": _matmul,
    "aten::bmm": _matmul,
    "aten::mv": _matmul,
    "aten::dot": lambda inputs, outputs: prod(inputs[0]),
    "aten::vdot": lambda inputs, outputs: prod(inputs[0]),
    "aten::addmm": _second,
    "aten::addmv": _second,
    "aten::baddbmm": _second,
    "aten::addbmm": _summed,
    "aten::einsum": _einsum,
    "aten::bilinear": _bilinear,
    "aten::_trilinear": _trilinear,
    "aten::_cdist_forward": _distances,
    "aten::scaled_dot_product_attention": _attention,
    "aten::_scaled_dot_product_flash_attention_for_cpu": _attention,
    "aten::_scaled_dot_product_flash_attention": _attention,
    "aten::_scaled_dot_product_efficient_attention": _attention,
    "aten::_scaled_dot_product_cudnn_attention": _attention,
    "aten::_scaled_dot_product_fused_attention_overrideable": _attention,
}
"""Operators whose multiply-accumulates are those of their numbers: a complex one takes four real ones."""
TRANSFORMS: dict[str, Rule] = {
    "aten::_fft_c2c": _complex_fft,
    "aten::_fft_r2c": _real_fft,
    "aten::_fft_c2r": _real_fft,
}
COSTLY = re.compile(
    r"aten::_*(\w*conv\w*|\w*mm|\w*mm_dtype|inner|tensordot|kron|chain_matmul|linalg_\w+|lu_\w+|\w*cholesky\w*|\w*solve\w*"
    r"|lstm\w*|gru\w*|rnn\w*|\w*_rnn\w*|\w*_lstm\w*|\w*_gru\w*|fft\w*|i?stft|[cp]dist\w*|\w*attention\w*|transformer\w*)"
)
"""Operators that multiply: one of these that has no rule isn't free. In a trace, they are made of others that have."""
CHEAP = re.compile(r"aten::_*(thnn_\w+|linalg_(vector_norm|cross|check_errors)|to_mkldnn|convert\w*|\w*comm)")
"""Names that only look like these: elementwise operators, norms, checks."""
FREE = ("aten", "prim", "profiler")
"""The libraries whose other operators count nothing."""
DATA = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
READING = {"aten::nonzero_numpy", "aten::is_nonzero", "aten::_pack_padded_sequence"}
"""Operators that look at values, as those do that torch tags so."""


def _rule(name: str) -> Rule | None:
    """How an operator is counted; None where it counts nothing. Raises `NotImplementedError` for an unknown one."""
    plain = name.rstrip("_")
    rule = OPERATORS.get(name) or PRODUCTS.get(plain) or TRANSFORMS.get(plain)
    costly = COSTLY.fullmatch(plain) and not CHEAP.fullmatch(plain)
    if rule is None and (costly or name.partition("::")[0] not in FREE):
        raise NotImplementedError(f'the operator {name} has no count; say it beside the part with @counts("{name}")')
    return rule


def _cost(name: str, rule: Rule, inputs: Values, outputs: Values, is_complex: bool) -> tuple[float, float]:
    """Multiply-accumulates and activations of one call."""
    times = 4 if is_complex and name not in OPERATORS and name.rstrip("_") in PRODUCTS else 1
    shapes = [shape for shape in outputs if isinstance(shape, tuple)]
    return times * float(rule(inputs, outputs)), float(prod(shapes[0])) if shapes else 0.0


# By tracing.

OPAQUE = {"prim::PythonOp", "prim::CallFunction", "prim::CallMethod", "prim::If", "prim::Loop", "prim::fork"}
"""What a trace says nothing of: functions of Python, and compiled code, which isn't traced through."""


class _Unknown(Exception):
    """A trace that can't be counted."""


class _Reading(TorchFunctionMode):
    """Sees whether Python is given values of tensors in a way that leaves no operator behind."""

    VALUES: ClassVar[set[Callable[..., Any]]] = {
        torch.equal,
        torch.allclose,
        torch.Tensor.equal,
        torch.Tensor.allclose,
        torch.Tensor.tolist,
        torch.Tensor.numpy,
        torch.Tensor.__array__,
    }

    def __init__(self) -> None:
        super().__init__()
        self.reads = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.reads = self.reads or func in self.VALUES
        return func(*args, **(kwargs or {}))


def _traced(model: nn.Module, example: torch.Tensor) -> tuple[float, float] | None:
    """Multiply-accumulates and activations by a trace; None where it isn't faithful, or not all is in it."""
    try:
        with warnings.catch_warnings(record=True) as caught, _Reading() as reading:
            warnings.simplefilter("always")
            graph, _ = torch.jit._get_trace_graph(model, (example,))
    except Exception:
        # Tracing fails in many ways; what is wrong with the network itself, running it will tell.
        return None
    if reading.reads or any(issubclass(warning.category, torch.jit.TracerWarning) for warning in caught):
        return None
    macs, activations = 0.0, 0.0
    try:
        for node in graph.nodes():
            name = node.kind()
            if name in OPAQUE or _node_reads(node):
                return None
            rule = None if name.startswith("prim::") else _rule(name)
            if rule is not None:
                inputs, results = ([_value(value) for value in values] for values in (node.inputs(), node.outputs()))
                is_complex = "Complex" in str(next(node.outputs()).type().scalarType())
                more, elements = _cost(name, rule, inputs, results, is_complex)
                macs, activations = macs + more, activations + elements
    except (_Unknown, NotImplementedError):
        return None
    return float(round(macs)), activations


def _value(value: Any) -> Any:
    """A value of a trace, as rules are given it."""
    if value.type().kind() == "TensorType":
        if not value.isCompleteTensor():
            raise _Unknown
        return tuple(value.type().sizes())
    kind = value.node().kind()
    if kind == "prim::ListConstruct":
        return [_value(item) for item in value.node().inputs()]
    return value.toIValue() if kind == "prim::Constant" else None


def _node_reads(node: Any) -> bool:
    """Whether what comes after an operator of a trace may depend on the values of its inputs."""
    name = node.kind()
    if name == "aten::index":
        indices = [item.type() for item in list(node.inputs())[1].node().inputs()]
        return any(kind.kind() == "TensorType" and kind.scalarType() in ("Bool", "Byte") for kind in indices)
    return _tagged(name) or (name == "aten::where" and len(list(node.inputs())) == 1)


@cache
def _tagged(name: str) -> bool:
    """Whether torch tags the operator, in one of its forms, so that its output depends on values."""
    library, _, operator = name.partition("::")
    packet = getattr(getattr(torch.ops, library), operator, None)
    if name in READING or packet is None or library == "prim":
        return name in READING
    return any(DATA & set(getattr(packet, form).tags) for form in packet.overloads())


# By running.


def _measured(model: nn.Module, examples: torch.Tensor) -> list[tuple[float, float]]:
    """Multiply-accumulates and activations of each example; of the first alone where the values don't matter."""
    found = []
    for example in examples.split(1):
        counter = _Counter()
        with _elementary(), torch.random.fork_rng(devices=[]), _Functions(counter) as functions, counter:
            torch.manual_seed(0)
            model(example)
        found.append((float(round(counter.macs)), counter.activations))
        if not (counter.reads or functions.reads):
            break
    return found


@contextmanager
def _elementary() -> Iterator[None]:
    """Without kernels that run a whole recurrent layer at once: its operators can be counted.

    Torch's fast paths of attention aren't taken as long as a mode listens.
    """
    backends = torch.backends.mkldnn, torch.backends.cudnn
    enabled = [backend.enabled for backend in backends]
    for backend in backends:
        backend.enabled = False
    try:
        yield
    finally:
        for backend, was in zip(backends, enabled, strict=True):
            backend.enabled = was


class _Counter(TorchDispatchMode):
    """Counts the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0.0
        self.activations = 0.0
        self.reads = False
        """Whether anything depended on the values of a tensor."""
        self.paused = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name, rule = func._schema.name, None
        if not self.paused:
            rule = _rule(name)
            self.reads = self.reads or _call_reads(func, name, args)
        result = func(*args, **kwargs)
        if rule is not None:
            given = zip(func._schema.arguments, range(len(func._schema.arguments)), strict=True)
            inputs = [args[i] if i < len(args) else kwargs.get(a.name, a.default_value) for a, i in given]
            self.add(name, rule, inputs, result)
        return result

    def add(self, name: str, rule: Rule, inputs: list[Any], result: Any) -> None:
        """Count one call."""
        outputs = list(result) if isinstance(result, tuple | list) else [result]
        is_complex = any(isinstance(item, torch.Tensor) and item.is_complex() for item in outputs)
        macs, activations = _cost(name, rule, _shapes(inputs), _shapes(outputs), is_complex)
        self.macs += macs
        self.activations += activations


class _Functions(_Reading):
    """Counts whole functions as a trace does, whatever they run as."""

    WHOLE: ClassVar[dict[Callable[..., Any], tuple[str, tuple[str, ...]]]] = {
        nn.functional.scaled_dot_product_attention: ("aten::scaled_dot_product_attention", ("query", "key", "value")),
        torch.einsum: ("aten::einsum", ()),
    }

    def __init__(self, counter: _Counter) -> None:
        super().__init__()
        self._counter = counter

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, counter = kwargs or {}, self._counter
        if counter.paused or func not in self.WHOLE:
            return super().__torch_function__(func, types, args, kwargs)
        name, names = self.WHOLE[func]
        inputs = [*args, *(kwargs[key] for key in names[len(args) :] if key in kwargs)]
        if func is torch.einsum:
            inputs = [args[0], list(args[1]) if isinstance(args[1], list | tuple) else list(args[1:])]
        counter.paused = True
        try:
            result = func(*args, **kwargs)
        finally:
            counter.paused = False
        counter.add(name, PRODUCTS[name], inputs, result)
        return result


def _shapes(values: list[Any]) -> list[Any]:
    """Tensors as their shapes."""
    return [tree_map(lambda item: tuple(item.shape) if isinstance(item, torch.Tensor) else item, v) for v in values]


def _call_reads(func: Any, name: str, args: Any) -> bool:
    """Whether what comes after a call may depend on the values of its inputs."""
    if name == "aten::index":
        masks = (torch.bool, torch.uint8)
        return any(isinstance(item, torch.Tensor) and item.dtype in masks for item in tree_leaves(args[1]))
    return bool(DATA & set(func.tags)) or name in READING

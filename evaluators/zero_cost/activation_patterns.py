"""Proxies from the linear regions that a batch falls into: which rectifiers are open for which example."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from evaluators.zero_cost.proxy import PROXIES

_ATEN = torch.ops.aten
RECTIFIERS = {
    _ATEN.relu,
    _ATEN.relu_,
    _ATEN.gelu,
    _ATEN.gelu_,
    _ATEN.silu,
    _ATEN.silu_,
    _ATEN.hardswish,
    _ATEN.hardswish_,
    _ATEN.hardtanh,
    _ATEN.hardtanh_,
    _ATEN.leaky_relu,
    _ATEN.leaky_relu_,
    _ATEN.elu,
    _ATEN.elu_,
    _ATEN.mish,
    _ATEN.mish_,
    _ATEN.softplus,
    _ATEN.threshold,
    _ATEN.threshold_,
    _ATEN._prelu_kernel,
}
"""Operators that (about) pass what is above zero and stop what is below; hardtanh is ReLU6's. Gates (sigmoid,
softmax) aren't among them."""


class _Recorder(TorchDispatchMode):
    """Sees each rectifier's input, whether a module or a function applies it."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch
        self.patterns: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in RECTIFIERS and len(args[0]) % self.batch == 0:
            # What an example was cut into, as windows, lies one after another.
            self.patterns.append((args[0] > 0).reshape(self.batch, -1))
        return func(*args, **(kwargs or {}))


def patterns(model: nn.Module, inputs: Tensor) -> list[Tensor]:
    """Whether each rectifier is open, for each example: a boolean (examples, units) for each activation layer."""
    with torch.no_grad(), _Recorder(len(inputs)) as recorder:
        model(inputs)
    return recorder.patterns


@PROXIES.register("naswot", source="Neural Architecture Search without Training")
def naswot(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """log |det K|, where K[i, j] counts the rectifiers that examples i and j agree on."""
    kernel = torch.zeros((len(inputs), len(inputs)), dtype=torch.float64)
    for pattern in patterns(model, inputs):
        signs = pattern.float() * 2 - 1
        kernel += (pattern.shape[1] + (signs @ signs.T).double()) / 2
    return float(torch.linalg.slogdet(kernel).logabsdet)


@PROXIES.register("swap", source="SWAP-NAS: Sample-Wise Activation Patterns for Ultra-fast NAS")
def swap(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """How many different patterns over the batch's examples the rectifiers have, without regularization by size."""
    found = patterns(model, inputs)
    if not found:
        return 0.0
    code = torch.zeros(sum(pattern.shape[1] for pattern in found), dtype=torch.int64)
    for example in range(len(inputs)):
        code = code * 2 + torch.cat([pattern[example] for pattern in found])
        if example % 31 == 30:
            # Before the bits run out, patterns are numbered anew: there are fewer of them than units.
            code = torch.unique(code, return_inverse=True)[1]
    return float(len(torch.unique(code)))

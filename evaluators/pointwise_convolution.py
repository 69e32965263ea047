"""Strided 1x1 convolutions whose gradients are right, and don't end the process, on a CPU.

oneDNN 3.12, by which torch 2.13 convolves on CPUs, writes beyond its memory where it computes the gradient of such a
convolution's weights of few maps in channels-last order (oneDNN's issue 6035: wrong gradients, or the process dies), as
in the first layer of RepVGG. A stride of a 1x1 kernel leaves pixels out; here they are left out before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional


@contextmanager
def sound_gradients(network: nn.Module) -> Iterator[None]:
    """Let the strided 1x1 convolutions of a network on a CPU take their pixels before they convolve; nothing changes
    but the order of sums. Whatever isn't a plain `nn.Conv2d` stays as it is."""
    found = [module for module in network.modules() if type(module) is nn.Conv2d and _suits(module)]
    for module in found:
        # An attribute of the instance goes before the class's method.
        module._conv_forward = partial(_forward, module)
    try:
        yield
    finally:
        for module in found:
            del module.__dict__["_conv_forward"]


def _suits(module: nn.Conv2d) -> bool:
    pointwise = module.kernel_size == (1, 1) and module.padding in ((0, 0), 0, "valid")
    return pointwise and max(module.stride) > 1 and module.weight.device.type == "cpu"


def _forward(module: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    stride: Any = module.stride
    return functional.conv2d(x[..., :: stride[0], :: stride[1]], weight, bias, groups=module.groups)

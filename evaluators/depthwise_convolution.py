"""Depthwise convolutions whose gradients don't take ten times as long as they do themselves, on a CPU.

oneDNN, by which torch convolves on CPUs, has fast kernels for the gradient of a depthwise convolution's weights where
they are up to three columns wide, and for that of its inputs in bfloat16 where the stride is 1; elsewhere it falls
back to plain loops, which take up to 15 (bfloat16: 70) times as long as the convolution. Here wide kernels' gradients
are put together of narrow ones', and the others' are done in float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

COLUMNS = 3
"""The widest kernel whose gradient is fast."""
Pair = tuple[int, int]


@contextmanager
def fast_gradients(network: nn.Module) -> Iterator[None]:
    """Let the depthwise convolutions of a network on a CPU compute their gradients as here.

    Outputs are the same, gradients up to the order of sums; whatever isn't a plain `nn.Conv2d` stays as it is.
    """
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
    depthwise = 1 < module.groups == module.in_channels == module.out_channels
    plain = module.padding_mode == "zeros" and module.dilation == (1, 1) and not isinstance(module.padding, str)
    return depthwise and plain and module.weight.device.type == "cpu"


def _forward(module: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What `nn.Conv2d` does in its place."""
    stride: Any = module.stride
    if torch.is_autocast_enabled("cpu"):
        half = torch.get_autocast_dtype("cpu")
        x, weight, bias = x.to(half), weight.to(half), None if bias is None else bias.to(half)
    plain = weight.shape[3] <= COLUMNS and (x.dtype == torch.float32 or stride == (1, 1))
    if plain or not torch.is_grad_enabled():
        return functional.conv2d(x, weight, bias, stride, module.padding, 1, module.groups)
    out = _Depthwise.apply(x, weight, stride, module.padding)
    return out if bias is None else out + bias.view(1, -1, 1, 1)


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution of maps (n, channels, height, width) with a kernel (channels, 1, height, width)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(x, weight, None, stride, padding, 1, x.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = _of_inputs(gradient, x, weight, ctx.stride, ctx.padding)
        if ctx.needs_input_grad[1]:
            of_weight = _of_weight(gradient, x, weight, ctx.stride, ctx.padding)
        return of_x, of_weight, None, None


def _of_inputs(gradient: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
    if stride == (1, 1) or x.dtype == torch.float32:
        return _backward(gradient, x, weight, stride, padding, True)
    return _backward(gradient.float(), x.float(), weight.float(), stride, padding, True).to(x.dtype)


def _of_weight(gradient: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
    """Put together of the gradients of columns of the kernel, each that of a narrower kernel."""
    found = torch.empty_like(weight)
    rows, columns = weight.shape[2], min(weight.shape[3], COLUMNS)
    part = weight[:, :, :, :columns].contiguous(memory_format=torch.channels_last)
    height, width = ((n - 1) * s for n, s in zip(gradient.shape[2:], stride, strict=True))
    for first in _starts(weight.shape[3], columns):
        # What these columns see of the maps, zeros beyond the borders with it.
        before = padding[1] - first
        margins = [before, width + columns - before - x.shape[3], padding[0], height + rows - padding[0] - x.shape[2]]
        seen = functional.pad(x, margins).contiguous(memory_format=torch.channels_last)
        found[..., first : first + columns] = _backward(gradient, seen, part, stride, (0, 0), False)
    return found


def _starts(size: int, window: int) -> list[int]:
    """Where windows begin that cover `size` places; the last two may overlap."""
    return [*range(0, size - window, window), size - window]


def _backward(gradient: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, inputs: bool) -> Tensor:
    """Torch's own gradient, of the inputs or of the weight."""
    found = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, stride, padding, (1, 1), False, (0, 0), x.shape[1], (inputs, not inputs, False)
    )
    return found[0] if inputs else found[1]

"""Depthwise convolutions with gradients of their own give torch's, and leave networks as they were."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evaluators import depthwise_convolution
from evaluators.depthwise_convolution import fast_gradients


def gradients(conv: nn.Conv2d, x: Tensor, mixed: bool) -> tuple[Tensor, ...]:
    """The output, and the gradients of inputs, weight and bias of a sum that weighs every output differently."""
    x, conv.weight.grad, conv.bias.grad = x.clone().requires_grad_(), None, None  # type: ignore[union-attr]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
        out = conv(x)
    out.float().mul(torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    found = (out, x.grad, conv.weight.grad, conv.bias.grad)  # type: ignore[union-attr]
    return tuple(tensor.detach().float() for tensor in found if tensor is not None)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("stride", [1, 2, (2, 1)])
@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), (5, 2), (7, 3), (4, 2), ((3, 9), (1, 4)), (5, 0), (7, 1)])
def test_gradients_are_torchs(kernel: Any, padding: Any, stride: Any, mixed: bool) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 6, kernel, stride, padding, groups=6)
    x = torch.randn(3, 6, 11, 10)
    exact = gradients(conv.double(), x.double(), False)
    conv.float()
    with fast_gradients(conv):
        found = gradients(conv, x, mixed)
    for one, other in zip(exact, found, strict=True):
        assert (one - other).norm() <= (2e-2 if mixed else 1e-5) * one.norm()


def test_they_are_computed_here_and_only_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    own = depthwise_convolution._of_weight
    monkeypatch.setattr(depthwise_convolution, "_of_weight", lambda *given: called.append(1) or own(*given))
    conv, x = nn.Conv2d(4, 4, 5, groups=4), torch.randn(2, 4, 8, 8)
    with fast_gradients(nn.Sequential(conv)):
        gradients(conv, x, False)
        assert len(called) == 1
    gradients(conv, x, False)
    assert len(called) == 1
    assert "_conv_forward" not in vars(conv)


def test_other_convolutions_stay_as_they_are() -> None:
    others = nn.ModuleList(
        [
            nn.Conv2d(4, 4, 5),
            nn.Conv2d(4, 8, 5, groups=4),
            nn.Conv2d(4, 4, 5, groups=4, dilation=2),
            nn.Conv2d(4, 4, 5, groups=4, padding="same"),
            nn.Conv2d(4, 4, 5, groups=4, padding=2, padding_mode="reflect"),
        ]
    )
    with fast_gradients(others):
        assert not any("_conv_forward" in vars(module) for module in others)

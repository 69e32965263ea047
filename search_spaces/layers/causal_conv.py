"""A depthwise convolution along a sequence that sees no later position."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from search_spaces.declarations import begins_as_identity, grows, zeroed
from search_spaces.errors import SpaceError


class CausalConv1d(nn.Module):
    """y[t] = b + sum over j of w[j] x[t - j], for each channel of (batch, channels, length); before it are zeros.

    The weight (channels, 1, kernel) begins with the tap of the present. So the first taps of a longer filter are a
    shorter one that looks back less far, which is what supernets slice and edits lengthen.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        like = nn.Conv1d(channels, channels, kernel, groups=channels)
        self.weight, self.bias = like.weight, like.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = self.weight.shape[2] - 1
        return functional.conv1d(
            functional.pad(x, (before, 0)), self.weight.flip(2), self.bias, groups=self.weight.shape[0]
        )


@grows(CausalConv1d)
def _looks_back_further(growth: Any, old: Any, new: Any, path: str) -> None:
    before, after = old.weight.shape[2], new.weight.shape[2]
    if after < before:
        raise SpaceError(f"a kernel of {before} can't become one of {after}, only larger")
    new.weight.zero_()
    new.weight[:, :, :before] = growth.rows(old.weight, new.weight.shape[0])
    new.bias.copy_(growth.rows(old.bias, new.bias.shape[0]))


@zeroed(CausalConv1d)
def _zero(module: CausalConv1d, zero: Callable[[Any], bool]) -> bool:
    nn.init.zeros_(module.weight)
    nn.init.zeros_(module.bias)
    return True


@begins_as_identity(CausalConv1d)
def _present(module: CausalConv1d, zero: Callable[[Any], bool]) -> bool:
    zero(module)
    with torch.no_grad():
        module.weight[:, :, 0] = 1
    return True

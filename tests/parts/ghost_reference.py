"""GhostNet's module, by its definition."""

import torch
from torch import nn

from tests.parts.rebuilding import behind_conv


def ghost(module: nn.Module, x: torch.Tensor, part: object, activation: object) -> torch.Tensor:
    """Channels 0, 2, 4, … by 1x1, and behind each one its own filter of it."""
    primary = behind_conv(x, module.primary, 1, part.norm, activation)
    cheap = behind_conv(primary, module.cheap, part.cheap_kernel, part.norm, activation, groups=primary.shape[1])
    y = torch.empty(len(x), 2 * primary.shape[1], *primary.shape[2:], dtype=x.dtype)
    y[:, 0::2], y[:, 1::2] = primary, cheap
    return y

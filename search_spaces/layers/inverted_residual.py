"""The layers of inverted bottlenecks, which token mixers and downsamples of it share."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from search_spaces.declarations import transparent
from search_spaces.layers.conv_norm import conv_norm, strided
from search_spaces.layers.rounded import rounded
from search_spaces.parts import Placed
from search_spaces.site import Site


@transparent
class Skipped(nn.Sequential):
    """Layers to whose outputs their input is added."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)


def expanded(part: Any, site: Site) -> int:
    """The channels inside; an expansion of 1 leaves them as they are."""
    return site.channels if part.expansion == 1 else rounded(site.channels * part.expansion, part.divisor)


def inverted(part: Any, site: Site, width: int, stride: int) -> nn.Sequential:
    """1x1 (where it expands), depthwise convolution of the stride, channel attention if any, 1x1 to the width."""
    hidden, norm, activation = expanded(part, site), part.norm, part.activation
    inner = site.wide(hidden)
    behind = strided(inner, hidden, stride)
    layers: list[nn.Module] = []
    if hidden != site.channels:
        layers += conv_norm(site, hidden, norm=norm, activation=activation)
    layers += conv_norm(inner, hidden, part.kernel, stride, hidden, norm, activation)
    if part.channel_attention is not None:
        layers.append(part.channel_attention.build(behind))
    layers += conv_norm(behind, width, norm=norm)
    return nn.Sequential(*layers)


def inverted_parts(part: Any, site: Site, after: Site) -> Iterator[Placed]:
    """What is built inside, and where, for `parts_at`; `after` is the site behind."""
    inner = site.wide(expanded(part, site))
    yield "norm", part.norm, inner
    yield "norm", part.norm, after
    yield "activation", part.activation, inner
    yield "channel_attention", part.channel_attention, after.wide(inner.channels)


def inverted_branch(part: Any, site: Site) -> str:
    """For `weight_branch`: without an expansion there is a layer less."""
    return "expands" if expanded(part, site) != site.channels else ""


def inverted_name(part: Any, site: Site, name: str) -> str:
    """For `weight_name`: the layers' numbers as they are without the channel attention in between."""
    number, _, rest = name.partition(".")
    stages = 2 if inverted_branch(part, site) else 1
    attention = stages * (2 if part.norm is None else 3)
    if part.channel_attention is None or int(number) <= attention:
        return name
    return f"{int(number) - 1}.{rest}"

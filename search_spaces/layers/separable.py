"""The layers of depthwise separable convolutions, which blocks and downsamples of it share."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from torch import nn

from search_spaces.layers.conv_norm import conv_norm, strided
from search_spaces.parts import Placed
from search_spaces.site import Site


def separable(part: Any, site: Site, width: int, stride: int) -> nn.Module:
    """A depthwise convolution of the stride, channel attention if any, 1x1 to the width; an activation behind both."""
    norm, activation, channels = part.norm, part.activation, site.channels
    behind = strided(site, channels, stride)
    layers: list[tuple[str, nn.Module]] = [
        ("depthwise", conv_norm(site, channels, part.kernel, stride, channels, norm, activation))
    ]
    if part.channel_attention is not None:
        layers.append(("attention", part.channel_attention.build(behind)))
    layers.append(("pointwise", conv_norm(behind, width, norm=norm, activation=activation)))
    return nn.Sequential(OrderedDict(layers))


def separable_parts(part: Any, site: Site, after: Site) -> Iterator[Placed]:
    """What is built inside, and where, for `parts_at`; `after` is the site behind."""
    inner = after.wide(site.channels)
    yield "norm", part.norm, inner
    yield "norm", part.norm, after
    yield "activation", part.activation, after
    yield "channel_attention", part.channel_attention, inner

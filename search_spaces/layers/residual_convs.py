"""The branches of ResNet's blocks, and its shortcuts where shapes change."""

from collections import OrderedDict
from typing import Any

from torch import nn

from search_spaces.layers.by_sides import MEANS
from search_spaces.layers.conv_norm import conv_norm, shape_behind, strided
from search_spaces.layers.shortcut_sum import ShortcutSum
from search_spaces.site import Site


def basic(part: Any, site: Site, width: int, stride: int) -> nn.Module:
    """Two convolutions of `part.kernel`, the first of the stride, with `part.expansion` times the width between."""
    inner = hidden(part, width)
    layers = [
        ("first", conv_norm(site, inner, part.kernel, stride, norm=part.norm, activation=part.activation)),
        ("last", conv_norm(strided(site, inner, stride), width, part.kernel, norm=part.norm)),
    ]
    return attended(part, strided(site, width, stride), layers)


def bottleneck(part: Any, site: Site, width: int, stride: int) -> nn.Module:
    """1x1 to `part.expansion` times the width, a convolution of `part.kernel` and the stride there, 1x1 back."""
    inner, norm = hidden(part, width), part.norm
    wide = strided(site, inner, 1)
    layers = [
        ("first", conv_norm(site, inner, norm=norm, activation=part.activation)),
        ("middle", conv_norm(wide, inner, part.kernel, stride, norm=norm, activation=part.activation)),
        ("last", conv_norm(strided(wide, inner, stride), width, norm=norm)),
    ]
    return attended(part, strided(site, width, stride), layers)


def hidden(part: Any, width: int) -> int:
    """The channels inside of a branch that leads to `width`."""
    return max(1, round(width * part.expansion))


def attended(part: Any, site: Site, layers: list[tuple[str, nn.Module]]) -> nn.Module:
    """The layers, and the channel attention at the branch's end, if there is any."""
    if part.channel_attention is not None:
        layers.append(("attention", part.channel_attention.build(site)))
    return nn.Sequential(OrderedDict(layers))


def projected(part: Any, site: Site, branch: nn.Module, pooled: bool) -> nn.Module:
    """A branch beside a 1x1 convolution to the site's width, of the stride, or behind the averages of squares."""
    width, stride, sides = site.leads_to, part.stride, len(site.sides)
    if pooled and stride > 1:
        mean = MEANS[sides - 1](stride, ceil_mode=True, count_include_pad=False)
        at = site.at((site.channels, *shape_behind(site, width, stride)[1:]))
        shortcut = nn.Sequential(OrderedDict([("mean", mean), ("conv", conv_norm(at, width, norm=part.norm))]))
    else:
        shortcut = nn.Sequential(OrderedDict([("conv", conv_norm(site, width, stride=stride, norm=part.norm))]))
    return ShortcutSum(branch, shortcut, activated(part, strided(site, width, stride)))


def activated(part: Any, site: Site) -> nn.Module:
    """The activation behind the sum."""
    return nn.Identity() if part.activation is None else part.activation.build(site)

"""The layers of GhostNet, which its blocks and downsamples share."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from search_spaces.declarations import transparent, zeroed
from search_spaces.layers.conv_norm import conv_norm, shape_behind, strided
from search_spaces.layers.rounded import rounded
from search_spaces.layers.shortcut_sum import ShortcutSum
from search_spaces.parts import Placed
from search_spaces.site import Site


@transparent
class GhostModule(nn.Module):
    """Half of the channels by 1x1, and the other half of those by a depthwise convolution, in turn.

    The publication has one half behind the other, which is the same network with its channels in another order; in
    turn, the first channels of a wider network have the roles of a narrower one's, for slices and copies of weights.
    Of an odd number the last one is left out.
    """

    def __init__(self, primary: nn.Module, cheap: nn.Module, width: int) -> None:
        super().__init__()
        self.primary, self.cheap, self.width = primary, cheap, width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        primary = self.primary(x)
        both = torch.stack([primary, self.cheap(primary)], 2).flatten(1, 2)
        return both if both.shape[1] == self.width else both[:, : self.width]


@zeroed(GhostModule)
def _zero(module: GhostModule, zero: Any) -> bool:
    # Of a zero, a convolution without a shift of its own makes zeros; but its normalization has one.
    return zero(module.primary) and zero(module.cheap)


def ghost(site: Site, width: int, part: Any, activation: Any) -> nn.Module:
    """A ghost module from the site's channels to the width."""
    half = (width + 1) // 2
    primary = conv_norm(site, half, norm=part.norm, activation=activation)
    cheap = conv_norm(site.wide(half), half, part.cheap_kernel, 1, half, part.norm, activation)
    return GhostModule(primary, cheap, width)


def inside(part: Any, site: Site) -> int:
    """The channels between the two modules, a multiple of 4."""
    return rounded(site.channels * part.expansion, 4)


def ghost_bottleneck(part: Any, site: Site, width: int, stride: int) -> nn.Module:
    """A ghost module that expands, a depthwise convolution of a stride above 1, attention, one that has no activation.

    Beside them is the input, or where shapes change a depthwise separable convolution of it.
    """
    wide, norm = site.wide(inside(part, site)), part.norm
    behind = strided(wide, wide.channels, stride)
    layers = [("expand", ghost(site, wide.channels, part, part.activation))]
    if stride > 1:
        layers.append(("strided", conv_norm(wide, wide.channels, part.kernel, stride, wide.channels, norm)))
    if part.channel_attention is not None:
        layers.append(("attention", part.channel_attention.build(behind)))
    layers.append(("reduce", ghost(behind, width, part, None)))
    return ShortcutSum(nn.Sequential(OrderedDict(layers)), nn.Identity(), nn.Identity())


def projected_ghost(part: Any, site: Site) -> nn.Module:
    """The bottleneck that leads elsewhere, with a shortcut that does, too."""
    module: Any = ghost_bottleneck(part, site, site.leads_to, part.stride)
    depthwise = conv_norm(site, site.channels, part.kernel, part.stride, site.channels, part.norm)
    after = strided(site, site.channels, part.stride)
    module.shortcut = nn.Sequential(
        OrderedDict([("depthwise", depthwise), ("pointwise", conv_norm(after, site.leads_to, norm=part.norm))])
    )
    return module


def ghost_parts(part: Any, site: Site, width: int, stride: int) -> Iterator[Placed]:
    """What is built inside, and where, for `parts_at`."""
    wide = inside(part, site)
    for channels in ((wide + 1) // 2, wide, (width + 1) // 2):
        yield "norm", part.norm, site.wide(channels)
    yield "activation", part.activation, site.wide((wide + 1) // 2)
    yield "channel_attention", part.channel_attention, site.at(shape_behind(site, wide, stride))

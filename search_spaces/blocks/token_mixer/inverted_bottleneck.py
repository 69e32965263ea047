"""Inverted bottleneck."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.by_sides import convolution
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Site


@part(
    "token_mixer",
    "inverted_bottleneck",
    source="MobileNetV2: Inverted Residuals and Linear Bottlenecks",
    sliced=True,
    sides=(1, 2),
)
class InvertedBottleneck(Part):
    """1x1 to `expansion` times the channels, depthwise convolution, 1x1 back without activation.

    It mixes channels, too, so a block of it needs no channel mixer. Its channel attention works on the expanded
    channels, as in "Searching for MobileNetV3"; an expansion of 1 leaves the first 1x1 layer out.
    """

    kernel: int = size("kernel", default=3, grows=True)
    expansion: float = size("expansion", default=4, grows=True)
    norm: Any = slot("norm", default="batch")
    activation: Any = slot("activation", default="relu")
    channel_attention: Any = slot("channel_attention", default=None)

    def validate(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise SpaceError(f"must be odd and 1 or more, not {self.kernel}", "inverted_bottleneck.kernel")
        if self.expansion < 1:
            raise SpaceError(f"must be 1 or more, not {self.expansion}", "inverted_bottleneck.expansion")

    def parts_at(self, site: Site) -> Iterator[Placed]:
        hidden = site.wide(round(site.channels * self.expansion))
        yield "norm", self.norm, hidden
        yield "norm", self.norm, site
        yield "activation", self.activation, hidden
        yield "channel_attention", self.channel_attention, hidden

    def weight_branch(self, site: Site) -> str:
        return "expands" if round(site.channels * self.expansion) != site.channels else ""

    def weight_name(self, site: Site, name: str) -> str:
        """The layers' numbers as they are without the channel attention in between."""
        number, _, rest = name.partition(".")
        stages = 2 if self.weight_branch(site) else 1
        attention = stages * (2 if self.norm is None else 3)
        if self.channel_attention is None or int(number) <= attention:
            return name
        return f"{int(number) - 1}.{rest}"

    def build(self, site: Site) -> nn.Module:
        channels, inner = site.channels, site.wide(round(site.channels * self.expansion))
        hidden = inner.channels
        layers = []
        if hidden != channels:
            layers += [self._conv(site, channels, hidden, 1), *self._norm(inner), self.activation.build(inner)]
        layers += [
            self._conv(site, hidden, hidden, self.kernel, hidden),
            *self._norm(inner),
            self.activation.build(inner),
        ]
        if self.channel_attention is not None:
            layers.append(self.channel_attention.build(inner))
        layers += [self._conv(site, hidden, channels, 1), *self._norm(site.wide(channels))]
        return nn.Sequential(*layers)

    def _conv(self, site: Site, channels: int, width: int, kernel: int, groups: int = 1) -> nn.Module:
        sides, bias = len(site.sides), self.norm is None
        return convolution(sides, channels, width, kernel, padding=kernel // 2, groups=groups, bias=bias)

    def _norm(self, site: Site) -> list[nn.Module]:
        return [] if self.norm is None else [self.norm.build(site)]

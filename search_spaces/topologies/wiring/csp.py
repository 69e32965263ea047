"""Cross-stage partial networks: a part of the channels goes past the blocks."""

from collections.abc import Iterable, Sequence
from math import gcd
from typing import Any

import torch
from torch import nn

from search_spaces.declarations import transparent
from search_spaces.errors import SpaceError
from search_spaces.layers.maps_conv import MapsConv
from search_spaces.parts import Edge, Placed, part, size, slot
from search_spaces.site import Shape, Site
from search_spaces.topologies.wired import WiredBlocks, Wiring

FINEST = 8
"""Splits are multiples of one over this."""


@transparent
class CrossStagePartial(WiredBlocks):
    """Of every `period` channels the first `own` go through the blocks, the others past them to `transition`.

    So a channel's way is the same at any width; which channels are split off makes no difference to what is learnt.
    """

    def __init__(self, blocks: Iterable[nn.Module], transition: nn.Module, own: int, period: int) -> None:
        super().__init__(blocks)
        self.transition = transition
        self.own, self.period = own, period

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = x.unflatten(1, (-1, self.period))
        through, past = parts[:, :, : self.own].flatten(1, 2), parts[:, :, self.own :].flatten(1, 2)
        for block in self.blocks:
            through = block(through)
        return self.transition(through, past)


@part("wiring", "csp", source="CSPNet: A New Backbone that can Enhance Learning Capability of CNN", sliced=True)
class Csp(Wiring):
    """The stage's channels in two streams: one goes through the blocks, the other past them.

    y = N(W [f(x'), x'']) for an input x = (x', x'') of C channels, of which x' has `split` C, which is the width that
    the blocks f are built for; the transition W is a 1x1 convolution of C to C channels with the normalization N, as
    in "fusion last"; the publication's further transition right behind the blocks is left out. Maps are
    (batch, C, *sides). The blocks cost about `split`^2 as much as at full width, the transition C^2 weights, and as
    many multiply-accumulates per position. `split` is a multiple of 1/8.
    """

    split: float = size("expansion", default=0.5)
    norm: Any = slot("norm", default="batch")

    def validate(self) -> None:
        if not 0 < self.split < 1 or self.split * FINEST != int(self.split * FINEST):
            raise SpaceError(f"must be a multiple of 1/{FINEST} between 0 and 1, not {self.split}", "csp.split")

    @property
    def ratio(self) -> tuple[int, int]:
        """How many channels of how many go through the blocks, as the smallest numbers."""
        own = int(self.split * FINEST)
        common = gcd(own, FINEST)
        return own // common, FINEST // common

    def sites(self, site: Site, items: Sequence[Any]) -> list[Site]:
        own, period = self.ratio
        return super().sites(site.wide(site.channels // period * own), items)

    def shape_of(self, site: Site, items: Sequence[Any]) -> Shape:
        return site.shape

    def refuses(self, site: Site, items: Sequence[Any]) -> str | None:
        period = self.ratio[1]
        if site.channels % period:
            return f"csp splits channels by {self.split:g}, which {site.channels} aren't divisible for; take {period}s"
        return None

    def accepts(self, site: Site) -> str | None:
        return self.refuses(site, ())

    def parts_at(self, site: Site) -> Iterable[Placed]:
        return [("norm", self.norm, site)]

    def insertable(self) -> bool:
        return True

    def edges(self, count: int) -> Iterable[Edge]:
        return [*super().edges(count), (-1, count, "skip")]

    def build(self, site: Site, modules: Sequence[nn.Module], sites: Sequence[Site]) -> nn.Module:
        own, period = self.ratio
        through = site.channels // period * own
        norm = None if self.norm is None else self.norm.build(site)
        transition = MapsConv([through, site.channels - through], site.channels, len(site.sides), norm)
        return CrossStagePartial(modules, transition, own, period)

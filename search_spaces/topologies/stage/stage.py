"""A stage: blocks of one width and resolution."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Shape, Site


@part("stage", "stage", source="Deep Residual Learning for Image Recognition", sliced=True)
class Stage(Part):
    """Blocks of one width and resolution, wired, behind the downsample that leads to them."""

    width: int = size("width", grows=True)
    blocks: Any = slot("block")
    downsample: Any = slot("downsample", default="conv")
    wiring: Any = slot("wiring", default="chain")

    def validate(self) -> None:
        if self.width < 1:
            raise SpaceError(f"must be 1 or more, not {self.width}", "stage.width")
        if not isinstance(self.blocks, tuple):
            raise SpaceError("takes a tuple of blocks; write (block,) or repeat(n, block)", "stage.blocks")
        if self.wiring is None:
            raise SpaceError("can't be None; say 'chain' for blocks one after another", "stage.wiring")
        if "block" not in self.wiring.wires:
            raise SpaceError(f"'{self.wiring.name}' wires a network's stages; give it to the network", "stage.wiring")

    def canonical(self) -> Part:
        wiring = self.wiring.for_items(len(self.blocks))
        return self if wiring == self.wiring else replace(self, wiring=wiring)

    def accepts(self, site: Site) -> str | None:
        if self.downsample is None and site.channels != self.width:
            return f"can't go from {site.channels} to {self.width} channels without a downsample; give one"
        return self.wiring.refuses(self.inside(site), self.blocks)

    def layers(self) -> int:
        return len(self.blocks)

    def inside(self, site: Site) -> Site:
        """The site behind the downsample."""
        if self.downsample is None:
            return site.at(site.shape)
        return site.at(self.downsample.shape_after(site.at(site.shape, self.width)))

    def sites(self, site: Site) -> list[Site]:
        """Where the blocks are built."""
        sites = self.wiring.sites(self.inside(site), self.blocks)
        return [inner.numbered(site.index + place) for place, inner in enumerate(sites)]

    def shape_after(self, site: Site) -> Shape:
        return self.wiring.shape_of(self.inside(site), self.blocks)

    def parts_at(self, site: Site) -> Iterator[Placed]:
        yield "downsample", self.downsample, site.at(site.shape, self.width)
        yield "wiring", self.wiring, self.inside(site)
        for i, (block, inner) in enumerate(zip(self.blocks, self.sites(site), strict=True)):
            yield f"blocks.{i}", block, inner

    def build(self, site: Site) -> nn.Module:
        layers = []
        if self.downsample is not None:
            layers.append(("downsample", self.downsample.build(site.at(site.shape, self.width))))
        sites = self.sites(site)
        blocks = [block.build(inner) for block, inner in zip(self.blocks, sites, strict=True)]
        return nn.Sequential(OrderedDict([*layers, ("blocks", self.wiring.build(self.inside(site), blocks, sites))]))

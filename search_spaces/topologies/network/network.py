"""Staged networks: a stem, stages of blocks with a downsample before each but the first, a head."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, Placed, part, slot
from search_spaces.site import Shape, Site
from search_spaces.topologies.wired import AllMaps


class LastMap(nn.Module):
    """The last of several maps."""

    def forward(self, maps: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return maps[-1]


@part("network", "network", source="Deep Residual Learning for Image Recognition", sliced=True)
class Network(Part):
    """The stem leads to the width of the first stage, whose downsample is not used.

    A `neck`, and a head that says `all_maps`, are given the maps of all stages, which are then in a chain.
    """

    stem: Any = slot("stem")
    stages: Any = slot("stage")
    head: Any = slot("head", default="average_pool")
    wiring: Any = slot("wiring", default="chain")
    neck: Any = slot("neck", default=None)

    def validate(self) -> None:
        if not isinstance(self.stages, tuple) or not self.stages:
            raise SpaceError("takes a tuple of one stage or more", "network.stages")
        if self.wiring is None:
            raise SpaceError("can't be None; say 'chain' for stages one after another", "network.wiring")
        if "stage" not in self.wiring.wires:
            raise SpaceError(f"'{self.wiring.name}' wires the blocks of a stage; give it to stages", "network.wiring")
        if self.all_maps and self.wiring.name != "chain":
            raise SpaceError("the neck or head takes all stages' maps, which only a chain of stages gives", "network")

    def canonical(self) -> Part:
        wiring = self.wiring.for_items(len(self.stages))
        if self.stages[0].downsample is None and wiring == self.wiring:
            return self
        return replace(self, stages=self.entered(), wiring=wiring)

    @property
    def all_maps(self) -> bool:
        """Whether something behind the stages takes the maps of all of them."""
        return self.neck is not None or getattr(self.head, "all_maps", False)

    def entered(self) -> tuple[Any, ...]:
        """The stages as they are built, the first one without a downsample."""
        return (replace(self.stages[0], downsample=None), *self.stages[1:])

    def takes_ids(self) -> bool:
        return self.stem.takes_ids()

    def layers(self) -> int:
        return sum(stage.layers() for stage in self.stages)

    def sites(self, site: Site) -> tuple[Site, list[Site], Site, Site]:
        """The sites of the stem, the stages, the neck and the head."""
        depth = self.layers()
        stem = replace(site, width=self.stages[0].width, depth=depth)
        first = stem.at(self.stem.shape_after(stem))
        stages, index = [], 0
        for stage, inner in zip(self.entered(), self.wiring.sites(first, self.entered()), strict=True):
            stages.append(inner.numbered(index))
            index += stage.layers()
        shapes = [tuple(stage.shape_after(at)) for stage, at in zip(self.entered(), stages, strict=True)]
        after = first.at(self.wiring.shape_of(first, self.entered())).numbered(depth)
        neck = replace(after, maps=tuple(shapes) if self.all_maps else ())
        return stem, stages, neck, self._headed(neck, site.leads_to)

    def behind(self, site: Site) -> Site:
        """The site of what the stages' wiring itself adds to the network: all stages' maps, and the outputs."""
        _, stages, neck, _ = self.sites(site)
        maps = [tuple(stage.shape_after(at)) for stage, at in zip(self.entered(), stages, strict=True)]
        return replace(neck, maps=tuple(maps), width=site.leads_to)

    def _headed(self, neck: Site, outputs: int) -> Site:
        shapes = neck.maps if self.neck is None else tuple(self.neck.shapes_after(neck))
        return replace(neck, shape=shapes[-1] if shapes else neck.shape, maps=shapes, width=outputs)

    def accepts(self, site: Site) -> str | None:
        stem = replace(site, width=self.stages[0].width)
        return self.wiring.refuses(site.at(self.stem.shape_after(stem)), self.entered())

    def shape_after(self, site: Site) -> Shape:
        return self.head.shape_after(self.sites(site)[3])

    def parts_at(self, site: Site) -> Iterator[Placed]:
        width = self.stages[0].width
        yield "stem", self.stem, replace(site, width=width)
        first = site.at(self.stem.shape_after(replace(site, width=width)))
        # One by one: what a stage leads to is known only once it is known to accept what it is given.
        inner, index = first, 0
        for i, stage in enumerate(self.entered()):
            inner = self.wiring.sites(first, self.entered()[: i + 1])[-1].numbered(index)
            yield f"stages.{i}", stage, inner
            index += stage.layers()
        _, _, neck, head = self.sites(site)
        yield "wiring", self.wiring, self.behind(site)
        yield "neck", self.neck, neck
        yield "head", self.head, head

    def build(self, site: Site) -> nn.Module:
        at_stem, at_stages, at_neck, at_head = self.sites(site)
        stem = self.stem.build(at_stem)
        stages = [stage.build(inner) for stage, inner in zip(self.entered(), at_stages, strict=True)]
        rest = [] if self.neck is None else [("neck", self.neck.build(at_neck))]
        if self.neck is not None and not getattr(self.head, "all_maps", False):
            rest.append(("last", LastMap()))
        rest.append(("head", self.head.build(at_head)))
        if self.all_maps:
            wired: nn.Module = AllMaps(*stages)
        else:
            wired = self.wiring.build(at_stages[0].numbered(0), stages, at_stages)
        return self.wiring.joined(self.behind(site), stem, wired, rest)

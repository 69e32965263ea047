"""What wirings have in common, and the modules that hold what is wired."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from search_spaces.declarations import transparent
from search_spaces.parts import Edge, Part, resolve
from search_spaces.site import Shape, Site


class Wiring(Part):
    """Base of the wirings: each item is built where the one before it leads to, as in a chain.

    A wiring whose items see other shapes overrides `sites`, and `shape_of` where something else comes out. What
    `build` gives for so few items that `for_items` says something simpler must be what that builds, so that two
    spellings of one network have the same names of weights.
    """

    wires: ClassVar[tuple[str, ...]] = ("block",)
    """The families whose parts it can wire: blocks of a stage, stages of a network."""

    def sites(self, site: Site, items: Sequence[Any]) -> list[Site]:
        """Where the items are built, the first one at `site`; the caller numbers them."""
        found = []
        for item in items:
            found.append(site)
            site = site.at(item.shape_after(site))
        return found

    def shape_of(self, site: Site, items: Sequence[Any]) -> Shape:
        """The shape of what comes out."""
        sites = self.sites(site, items)
        return tuple(items[-1].shape_after(sites[-1])) if sites else site.shape

    def refuses(self, site: Site, items: Sequence[Any]) -> str | None:
        """Why these items can't be wired so at the site, or None when they can."""
        return None

    def for_items(self, count: int) -> Part:
        """The simplest wiring that does the same to so many items."""
        return self

    def as_chain(self) -> Part:
        """The chain, for a `for_items` that says so."""
        return resolve("chain", "wiring", self.name)

    def insertable(self) -> bool:
        """Whether a block that passes on its input can be added anywhere without a change of what is computed."""
        return False

    def edges(self, count: int) -> Iterable[Edge]:
        """The connections among so many items, as they are drawn: -1 is the input, `count` the output."""
        return [(place - 1, place, "") for place in range(count + 1)]

    def build(self, site: Site, modules: Sequence[nn.Module], sites: Sequence[Site]) -> nn.Module:
        """The items' modules, built at `sites`, as one module."""
        raise NotImplementedError(f"{type(self).__name__} must say how its items are wired: override build()")

    def joined(self, site: Site, stem: nn.Module, stages: nn.Module, rest: Iterable[tuple[str, nn.Module]]) -> Any:
        """The whole network of wired stages, `rest` being the neck, if any, and the head.

        `site` is the one behind the stages: its `maps` are the shapes of all stages' maps, its `width` the outputs.
        """
        return nn.Sequential(OrderedDict([("stem", stem), ("stages", stages), *rest]))


class WiredBlocks(nn.Module):
    """Base of the modules that wire others; `blocks` are in the order in which they were written."""

    def __init__(self, blocks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)


@transparent
class AllMaps(nn.Sequential):
    """Stages one after another, all of whose maps come out, as a tuple."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        maps = []
        for stage in self:
            x = stage(x)
            maps.append(x)
        return tuple(maps)

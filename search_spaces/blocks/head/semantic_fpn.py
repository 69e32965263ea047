"""A head for dense prediction on a feature pyramid."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from search_spaces.declarations import transparent
from search_spaces.errors import SpaceError
from search_spaces.layers.to_inputs import upsampling, without_inputs
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Shape, Site


@transparent
class SemanticPyramid(nn.Module):
    """A pyramid of maps, all of which are brought to the first one's sides and added up, then scored."""

    def __init__(
        self,
        laterals: Iterable[nn.Module],
        down: Iterable[nn.Module],
        smooth: Iterable[nn.Module],
        levels: Iterable[nn.Module],
        score: nn.Module,
    ) -> None:
        super().__init__()
        self.laterals, self.down, self.smooth = map(nn.ModuleList, (laterals, down, smooth))
        self.levels, self.score = nn.ModuleList(levels), score

    def forward(self, maps: tuple[torch.Tensor, ...]) -> torch.Tensor:
        above = self.laterals[-1](maps[-1])
        total = self.levels[-1](self.smooth[-1](above))
        for place in range(len(self.laterals) - 2, -1, -1):
            above = self.laterals[place](maps[place]) + self.down[place](above)
            total = total + self.levels[place](self.smooth[place](above))
        return self.score(total)


@part("head", "semantic_fpn", source="Panoptic Feature Pyramid Networks", sliced=True, sides=2)
class SemanticFpnHead(Part):
    """The publication's semantic branch on a feature pyramid of `pyramid` channels, summed at `width` channels.

    Each stage's map goes through a 1x1 convolution, what is above it (upsampled to it) is added, and a 3x3 convolution
    follows. Level s then has s steps of a 3x3 convolution, a normalization, ReLU and upsampling to the map before (the
    first level one step without upsampling); the sum of all levels is scored by a 1x1 convolution and upsampled to
    (outputs, height, width) of the network's inputs.
    """

    pyramid: int = size("width", default=256)
    width: int = size("width", default=128)
    norm: Any = slot("norm", default="group")

    all_maps = True

    def validate(self) -> None:
        for field in ("pyramid", "width"):
            if getattr(self, field) < 1:
                raise SpaceError(f"must be 1 or more, not {getattr(self, field)}", f"semantic_fpn.{field}")

    def accepts(self, site: Site) -> str | None:
        return without_inputs(site)

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to, *site.inputs[1:])

    def parts_at(self, site: Site) -> Iterator[Placed]:
        for shape in site.maps:
            yield "norm", self.norm, site.at((self.width, *shape[1:]))

    def build(self, site: Site) -> nn.Module:
        levels = [self._level(site, place) for place in range(len(site.maps))]
        score = nn.Sequential(nn.Conv2d(self.width, site.leads_to, 1), upsampling(site.maps[0][1:], site.inputs[1:]))
        return SemanticPyramid(
            [nn.Conv2d(shape[0], self.pyramid, 1) for shape in site.maps],
            [upsampling(deep[1:], high[1:], nearest=True) for high, deep in pairwise(site.maps)],
            [nn.Conv2d(self.pyramid, self.pyramid, 3, padding=1) for _ in site.maps],
            levels,
            score,
        )

    def _level(self, site: Site, place: int) -> nn.Module:
        """The steps from the pyramid's map number `place` to the first one's sides."""
        layers: list[nn.Module] = []
        for step in range(max(1, place)):
            sides = site.maps[place - step][1:]
            inner = site.at((self.width, *sides))
            channels = self.width if step else self.pyramid
            layers.append(nn.Conv2d(channels, self.width, 3, padding=1, bias=self.norm is None))
            layers += [] if self.norm is None else [self.norm.build(inner)]
            layers += [nn.ReLU(), *([upsampling(sides, site.maps[place - step - 1][1:])] if place else [])]
        return nn.Sequential(*layers)

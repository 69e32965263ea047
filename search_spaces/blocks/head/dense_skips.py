"""A head for dense prediction that adds up the scores of all stages' maps."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from search_spaces.declarations import transparent
from search_spaces.layers.to_inputs import upsampling, without_inputs
from search_spaces.parts import Part, Placed, part, slot
from search_spaces.site import Shape, Site


@transparent
class SummedScores(nn.Module):
    """Scores of maps, from the deepest one on: upsampled to the next map, and its scores added; at last, upsampled."""

    def __init__(self, scores: Iterable[nn.Module], steps: Iterable[nn.Module]) -> None:
        super().__init__()
        self.scores, self.steps = nn.ModuleList(scores), nn.ModuleList(steps)

    def forward(self, maps: tuple[torch.Tensor, ...]) -> torch.Tensor:
        total = self.scores[-1](maps[-1])
        for place in range(len(self.scores) - 2, -1, -1):
            total = self.steps[place + 1](total) + self.scores[place](maps[place])
        return self.steps[0](total)


@part("head", "dense_skips", source="Fully Convolutional Networks for Semantic Segmentation", sliced=True, sides=2)
class DenseSkipsHead(Part):
    """Scores of each stage's map by a 1x1 convolution; the deeper ones are upsampled and added to the shallower ones.

    The publication's FCN-8s for as many maps as there are, with bilinear upsampling, which its learned one begins
    with. Maps (channels_s, high_s, wide_s) become (outputs, height, width) of the network's inputs.
    """

    norm: Any = slot("norm", default="batch")

    all_maps = True

    def accepts(self, site: Site) -> str | None:
        return without_inputs(site)

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to, *site.inputs[1:])

    def parts_at(self, site: Site) -> Iterable[Placed]:
        return [("norm", self.norm, site.at(shape)) for shape in site.maps]

    def build(self, site: Site) -> nn.Module:
        scores = []
        for shape in site.maps:
            norm = [] if self.norm is None else [self.norm.build(site.at(shape))]
            scores.append(nn.Sequential(*norm, nn.Conv2d(shape[0], site.leads_to, 1)))
        sides = [site.inputs[1:], *(shape[1:] for shape in site.maps)]
        return SummedScores(scores, [upsampling(deep, high) for high, deep in pairwise(sides)])

"""Random resized crops."""

from math import log
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.recipes.augmentation import Augmentation, has_masks
from search_spaces.errors import SpaceError
from search_spaces.parts import part

RATIO = 4 / 3
"""The longer side of a cut-out over the shorter one, at most, where the picture is square."""


@part("augmentation", "crop", source="Going Deeper with Convolutions")
class Crop(Augmentation):
    """Each picture is a random cut-out of itself, `smallest` to all of its area, enlarged to the picture's size.

    Pictures are interpolated linearly; masks take the nearest pixel's class.
    """

    smallest: float = 0.08

    def validate(self) -> None:
        if not 0 < self.smallest <= 1:
            raise SpaceError(f"must be a share above 0, up to 1, not {self.smallest!r}", "crop.smallest")

    def applied(self, inputs: Tensor, targets: Tensor, data: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        area, ratio, down, across = torch.rand(4, len(inputs), generator=generator)
        area = self.smallest + (1 - self.smallest) * area
        ratio = torch.exp((2 * ratio - 1) * log(RATIO) / 2)
        height, width = (area.sqrt() / ratio).clamp(max=1), (area.sqrt() * ratio).clamp(max=1)
        # From -1 to 1 along each side, as grids count.
        middle = torch.stack([(1 - width) * (2 * across - 1), (1 - height) * (2 * down - 1)], 1)
        boxes = torch.cat([torch.diag_embed(torch.stack([width, height], 1)), middle.unsqueeze(2)], 2)
        boxes = boxes.to(inputs)
        if has_masks(data):
            maps = targets if targets.ndim == 4 else targets.unsqueeze(1)
            targets = _cut_out(maps.double(), boxes.double(), "nearest").to(targets.dtype).view_as(targets)
        return _cut_out(inputs, boxes, "bilinear"), targets


def _cut_out(maps: Tensor, boxes: Tensor, mode: str) -> Tensor:
    grid = functional.affine_grid(boxes, list(maps.shape), align_corners=False)
    return functional.grid_sample(maps, grid, mode=mode, padding_mode="border", align_corners=False)

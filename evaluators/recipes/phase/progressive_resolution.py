"""Progressive resolution."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.recipes.augmentation import has_masks
from evaluators.recipes.phase import Phase
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part("phase", "progressive_resolution", source="EfficientNetV2: Smaller Models and Faster Training")
class ProgressiveResolution(Phase):
    """Pictures grow from the share `smallest` of their sides to all of them, in `stages` equal stretches.

    Sides are rounded to multiples of `multiple` pixels, for networks that halve them often. The regularisation, which
    the paper lets grow along, stays as it is.
    """

    share: float = 1.0
    smallest: float = 0.5
    stages: int = 4
    multiple: int = 4

    def validate(self) -> None:
        for name in ("share", "smallest"):
            if not 0 < getattr(self, name) <= 1:
                where = f"progressive_resolution.{name}"
                raise SpaceError(f"must be a share above 0, up to 1, not {getattr(self, name)!r}", where)
        for name in ("stages", "multiple"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                where = f"progressive_resolution.{name}"
                raise SpaceError(f"must be an integer of 1 or more, not {getattr(self, name)!r}", where)

    def refuses(self, data: Any) -> str | None:
        if data.medium != "pictures" or has_masks(data):
            return "is for pictures whose targets have no sides"
        return None

    def batch(
        self, inputs: Tensor, targets: Tensor, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        size = [self.side(side, progress) for side in inputs.shape[2:]]
        if size == list(inputs.shape[2:]):
            return inputs, targets
        return functional.interpolate(inputs, size, mode="bilinear", antialias=True, align_corners=False), targets

    def side(self, side: int, progress: float) -> int:
        """The pixels along a side of `side` pixels at a progress from 0 to 1."""
        stage = min(self.stages - 1, int(progress * self.stages))
        share = 1.0 if self.stages == 1 else self.smallest + (1 - self.smallest) * stage / (self.stages - 1)
        rounded = max(1, round(share * side / self.multiple)) * self.multiple
        return side if share == 1 else min(side, rounded)

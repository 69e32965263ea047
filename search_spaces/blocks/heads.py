"""Heads: `build(shape, outputs)` gives a module from maps to logits."""

from typing import Any

from torch import nn

from search_spaces.parts import Part, part, slot


@part("head", "average_pool", source="Network In Network")
class AveragePoolHead(Part):
    """A normalization (or none), the average over all positions, a linear layer."""

    norm: Any = slot("norm", default="batch")

    def parts_at(self, shape: tuple[int, int, int]) -> list[tuple[str, Any, tuple[int, int, int]]]:
        return [("norm", self.norm, shape)]

    def build(self, shape: tuple[int, int, int], outputs: int) -> nn.Module:
        norm = [] if self.norm is None else [self.norm.build(shape[0])]
        return nn.Sequential(*norm, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(shape[0], outputs))

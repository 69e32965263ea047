"""Downsamples: `build(shape, width)` gives a module that halves a map, to `shape_after(shape, width)`."""

from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part, slot


@part("downsample", "conv", source="Striving for Simplicity: The All Convolutional Net")
class ConvDownsample(Part):
    """A convolution of stride 2 and a normalization: kernel 3 overlaps, 2 (as in ConvNeXt) doesn't."""

    kernel: int = 3
    norm: Any = slot("norm", default="batch")

    def validate(self) -> None:
        if self.kernel not in (2, 3):
            raise SpaceError(f"must be 2 or 3, not {self.kernel}", "conv.kernel")

    def accepts(self, shape: tuple[int, ...]) -> str | None:
        if self.kernel == 3 or min(shape[1:]) >= 2:
            return None
        return f"a map of {shape[1]}x{shape[2]} can't be halved; use fewer stages"

    def shape_after(self, shape: tuple[int, int, int], width: int) -> tuple[int, int, int]:
        rest = self.kernel - 2
        return (width, (shape[1] + rest) // 2, (shape[2] + rest) // 2)

    def parts_at(self, shape: tuple[int, int, int], width: int) -> list[tuple[str, Any, tuple[int, int, int]]]:
        return [("norm", self.norm, self.shape_after(shape, width))]

    def build(self, shape: tuple[int, int, int], width: int) -> nn.Module:
        conv = nn.Conv2d(
            shape[0], width, self.kernel, 2, self.kernel // 2 if self.kernel == 3 else 0, bias=self.norm is None
        )
        return nn.Sequential(conv, *([] if self.norm is None else [self.norm.build(width)]))


@part("downsample", "pool", source="Bag of Tricks for Image Classification with Convolutional Neural Networks")
class PoolDownsample(Part):
    """The average of each 2x2 square, a 1x1 convolution and a normalization (the shortcut of ResNet-D)."""

    norm: Any = slot("norm", default="batch")

    def accepts(self, shape: tuple[int, ...]) -> str | None:
        if min(shape[1:]) >= 2:
            return None
        return f"a map of {shape[1]}x{shape[2]} can't be halved; use fewer stages"

    def shape_after(self, shape: tuple[int, int, int], width: int) -> tuple[int, int, int]:
        return (width, shape[1] // 2, shape[2] // 2)

    def parts_at(self, shape: tuple[int, int, int], width: int) -> list[tuple[str, Any, tuple[int, int, int]]]:
        return [("norm", self.norm, self.shape_after(shape, width))]

    def build(self, shape: tuple[int, int, int], width: int) -> nn.Module:
        conv = nn.Conv2d(shape[0], width, 1, bias=self.norm is None)
        return nn.Sequential(nn.AvgPool2d(2), conv, *([] if self.norm is None else [self.norm.build(width)]))

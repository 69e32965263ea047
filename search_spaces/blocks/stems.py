"""Stems: `build(shape, width)` gives a module that turns images into maps of `shape_after(shape, width)`."""

from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part, slot


@part("stem", "conv3x3", source="Very Deep Convolutional Networks for Large-Scale Image Recognition")
class Conv3x3Stem(Part):
    """A 3x3 convolution, a normalization and an activation; `stride` 1 for small images."""

    stride: int = 2
    norm: Any = slot("norm", default="batch")
    activation: Any = slot("activation", default="relu")

    def validate(self) -> None:
        if self.stride < 1:
            raise SpaceError(f"must be 1 or more, not {self.stride}", "conv3x3.stride")

    def shape_after(self, shape: tuple[int, int, int], width: int) -> tuple[int, int, int]:
        return (width, (shape[1] - 1) // self.stride + 1, (shape[2] - 1) // self.stride + 1)

    def parts_at(self, shape: tuple[int, int, int], width: int) -> list[tuple[str, Any, tuple[int, int, int]]]:
        return [("norm", self.norm, self.shape_after(shape, width))]

    def build(self, shape: tuple[int, int, int], width: int) -> nn.Module:
        conv = nn.Conv2d(shape[0], width, 3, self.stride, 1, bias=self.norm is None)
        norm = [] if self.norm is None else [self.norm.build(width)]
        activation = [] if self.activation is None else [self.activation.build()]
        return nn.Sequential(conv, *norm, *activation)


@part("stem", "patchify", source="An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale")
class PatchifyStem(Part):
    """A linear layer on patches of `patch` x `patch` pixels that don't overlap, and a normalization."""

    patch: int = 4
    norm: Any = slot("norm", default="layer")

    def validate(self) -> None:
        if self.patch < 1:
            raise SpaceError(f"must be 1 or more, not {self.patch}", "patchify.patch")

    def accepts(self, shape: tuple[int, ...]) -> str | None:
        if min(shape[1:]) >= self.patch:
            return None
        return f"patches of {self.patch}x{self.patch} don't fit into {shape[1]}x{shape[2]} pixels; make patch smaller"

    def shape_after(self, shape: tuple[int, int, int], width: int) -> tuple[int, int, int]:
        return (width, shape[1] // self.patch, shape[2] // self.patch)

    def parts_at(self, shape: tuple[int, int, int], width: int) -> list[tuple[str, Any, tuple[int, int, int]]]:
        return [("norm", self.norm, self.shape_after(shape, width))]

    def build(self, shape: tuple[int, int, int], width: int) -> nn.Module:
        conv = nn.Conv2d(shape[0], width, self.patch, self.patch, bias=self.norm is None)
        return nn.Sequential(conv, *([] if self.norm is None else [self.norm.build(width)]))

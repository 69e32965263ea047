"""Staged networks: a stem, stages of blocks with a downsample before each but the first, a head."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part, slot


@part("stage", "stage", source="Deep Residual Learning for Image Recognition")
class Stage(Part):
    """Blocks of one width and resolution, behind the downsample that leads to them."""

    width: int
    blocks: Any = slot("block")
    downsample: Any = slot("downsample", default="conv")

    def validate(self) -> None:
        if self.width < 1:
            raise SpaceError(f"must be 1 or more, not {self.width}", "stage.width")
        if not isinstance(self.blocks, tuple):
            raise SpaceError("takes a tuple of blocks; write (block,) or repeat(n, block)", "stage.blocks")

    def accepts(self, shape: tuple[int, ...]) -> str | None:
        if self.downsample is not None or shape[0] == self.width:
            return None
        return f"can't go from {shape[0]} to {self.width} channels without a downsample; give one"

    def shape_after(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        return shape if self.downsample is None else self.downsample.shape_after(shape, self.width)

    def parts_at(self, shape: tuple[int, int, int]) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
        yield "downsample", self.downsample, (*shape, self.width)
        for i, block in enumerate(self.blocks):
            yield f"blocks.{i}", block, self.shape_after(shape)

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        layers = [] if self.downsample is None else [("downsample", self.downsample.build(shape, self.width))]
        inner = self.shape_after(shape)
        blocks = nn.Sequential(*(block.build(inner) for block in self.blocks))
        return nn.Sequential(OrderedDict([*layers, ("blocks", blocks)]))


@part("network", "network", source="Deep Residual Learning for Image Recognition")
class Network(Part):
    """A classifier of images. The stem leads to the width of the first stage, whose downsample is not used."""

    stem: Any = slot("stem")
    stages: Any = slot("stage")
    head: Any = slot("head", default="average_pool")

    def validate(self) -> None:
        if not isinstance(self.stages, tuple) or not self.stages:
            raise SpaceError("takes a tuple of one stage or more", "network.stages")

    def canonical(self) -> Part:
        return self if self.stages[0].downsample is None else replace(self, stages=self.entered())

    def entered(self) -> tuple[Any, ...]:
        """The stages as they are built, the first one without a downsample."""
        return (replace(self.stages[0], downsample=None), *self.stages[1:])

    def parts_at(self, inputs: tuple[int, int, int]) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
        width = self.stages[0].width
        yield "stem", self.stem, (*inputs, width)
        shape = self.stem.shape_after(inputs, width)
        for i, stage in enumerate(self.entered()):
            yield f"stages.{i}", stage, shape
            shape = stage.shape_after(shape)
        yield "head", self.head, shape

    def build(self, inputs: tuple[int, int, int], outputs: int) -> nn.Module:
        shape = self.stem.shape_after(inputs, self.stages[0].width)
        stem = self.stem.build(inputs, self.stages[0].width)
        stages = []
        for stage in self.entered():
            stages.append(stage.build(shape))
            shape = stage.shape_after(shape)
        head = self.head.build(shape, outputs)
        return nn.Sequential(OrderedDict(stem=stem, stages=nn.Sequential(*stages), head=head))

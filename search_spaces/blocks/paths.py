"""Trees of paths: mixers side by side, or one after another, each of which may be such a tree again."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part, slot


class ParallelPaths(nn.Module):
    """The mean of branches that all see the whole map, or (`split`) the outputs of branches that see a share each."""

    def __init__(self, branches: list[nn.Module], split: bool) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.split = split

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.split:
            shares = x.chunk(len(self.branches), 1)
            return torch.cat([branch(share) for branch, share in zip(self.branches, shares, strict=True)], 1)
        total = self.branches[0](x)
        for branch in self.branches[1:]:
            total = total + branch(x)
        return total / len(self.branches)


@part("token_mixer", "paths", source="Path-Level Network Transformation for Efficient Architecture Search")
class Paths(Part):
    """Parallel paths, each a token mixer or a tree of paths again.

    With the allocation "replicate" each path sees all channels and the outputs are averaged; with "split" each sees
    an equal share of the channels and the outputs are concatenated. (The paper's other two combinations of allocation
    and merge would need paths that change the number of channels, which token mixers don't.)
    """

    children: Any = slot("token_mixer", default=("depthwise_conv", "depthwise_conv"))
    allocation: str = "replicate"

    def validate(self) -> None:
        if not isinstance(self.children, tuple) or len(self.children) < 2 or None in self.children:
            raise SpaceError("takes a tuple of two token mixers or more", "paths.children")
        if self.allocation not in ("replicate", "split"):
            raise SpaceError(f"must be replicate or split, not '{self.allocation}'", "paths.allocation")

    def accepts(self, shape: tuple[int, ...]) -> str | None:
        if self.allocation == "replicate" or shape[0] % len(self.children) == 0:
            return None
        return f"{shape[0]} channels don't divide into {len(self.children)} paths"

    def parts_at(self, shape: tuple[int, int, int]) -> Iterator[tuple[str, Any, tuple[int, int, int]]]:
        for number, child in enumerate(self.children):
            yield f"children.{number}", child, self.shape_of_paths(shape)

    def shape_of_paths(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """What each path is given of a map of `shape`."""
        return (shape[0] // len(self.children), *shape[1:]) if self.allocation == "split" else shape

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        branches = [child.build(self.shape_of_paths(shape)) for child in self.children]
        return ParallelPaths(branches, self.allocation == "split")


class PathsInSequence(nn.Sequential):
    """Token mixers one after another."""


@part("token_mixer", "chain", source="Path-Level Network Transformation for Efficient Architecture Search")
class Chain(Part):
    """A path of several token mixers, each of which gets what the one before gives."""

    children: Any = slot("token_mixer", default=("depthwise_conv", "depthwise_conv"))

    def validate(self) -> None:
        if not isinstance(self.children, tuple) or len(self.children) < 2 or None in self.children:
            raise SpaceError("takes a tuple of two token mixers or more", "chain.children")

    def parts_at(self, shape: tuple[int, int, int]) -> Iterator[tuple[str, Any, tuple[int, int, int]]]:
        for number, child in enumerate(self.children):
            yield f"children.{number}", child, shape

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        return PathsInSequence(*(child.build(shape) for child in self.children))

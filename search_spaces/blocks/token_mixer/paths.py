"""Parallel paths: token mixers side by side, each of which may be a tree of paths again."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from search_spaces.declarations import forms, transparent, zeroed
from search_spaces.errors import SpaceError
from search_spaces.layers.by_sides import CONVS
from search_spaces.parts import Part, Placed, part, slot
from search_spaces.site import Shape, Site


@transparent
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


@forms(ParallelPaths)
def _branched(growth: Any, old: nn.Module, new: ParallelPaths, path: str) -> bool:
    """Let parallel branches together compute what one module did."""
    count = len(new.branches)
    if isinstance(old, ParallelPaths) and old.split == new.split and len(old.branches) == count:
        return False
    copies = [growth.share(old, count, place) if new.split else copy.deepcopy(old) for place in range(count)]
    if isinstance(old, CONVS) and not new.split:
        growth.set_apart(copies)
    for place, (old_branch, branch) in enumerate(zip(copies, new.branches, strict=True)):
        growth.grow(old_branch, branch, f"{path}.branches.{place}")
    return True


@zeroed(ParallelPaths)
def _zero(module: ParallelPaths, zero: Callable[[Any], bool]) -> bool:
    zeroed_branches = [zero(branch) for branch in module.branches]  # every one of them, also behind a first False
    return all(zeroed_branches)


@part(
    "token_mixer",
    "paths",
    source="Path-Level Network Transformation for Efficient Architecture Search",
    sliced=True,
)
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

    def accepts(self, site: Site) -> str | None:
        if self.allocation == "replicate" or site.channels % len(self.children) == 0:
            return None
        return f"{site.channels} channels don't divide into {len(self.children)} paths"

    def parts_at(self, site: Site) -> Iterator[Placed]:
        for number, child in enumerate(self.children):
            yield f"children.{number}", child, site.at(self.shape_of_paths(site.shape))

    def shape_of_paths(self, shape: Shape) -> Shape:
        """What each path is given of a map of `shape`."""
        return (shape[0] // len(self.children), *shape[1:]) if self.allocation == "split" else shape

    def follows(self, before: Any, path: str, check: Callable[[Any, Any, str], None]) -> bool:
        """It was the same tree with other paths, or all of what was there is in each path."""
        same = type(before) is type(self) and before.allocation == self.allocation
        if same and len(before.children) == len(self.children):
            check(before.children, self.children, f"{path}.children")
            return True
        if self.allocation == "split" and not getattr(before, "channelwise", False):
            raise SpaceError(f"{before.name} mixes channels, so its channels can't be split", path)
        for place, child in enumerate(self.children):
            check(before, child, f"{path}.children.{place}")
        return True

    def build(self, site: Site) -> nn.Module:
        inner = site.at(self.shape_of_paths(site.shape))
        return ParallelPaths([child.build(inner) for child in self.children], self.allocation == "split")

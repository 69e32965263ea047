"""Small networks of each wiring, and modules of one wired stage, for tests."""

from typing import Any

import torch
from torch import nn

from search_spaces.blocks import AveragePoolHead, Block, Conv3x3Stem, DepthwiseConv
from search_spaces.site import Site
from search_spaces.testing import PartConformance, randomise
from search_spaces.topologies import Network, Stage
from search_spaces.topologies.wiring.csp import Csp
from search_spaces.topologies.wiring.dense_aggregation import DenseAggregation
from search_spaces.topologies.wiring.early_exit import EarlyExit
from search_spaces.topologies.wiring.long_skips import LongSkips
from search_spaces.topologies.wiring.recursion import Recursion

INPUTS = (3, 8, 8)
OUTPUTS = 5
BLOCK = Block(DepthwiseConv(3), norm_placement="post")
WIRINGS = {
    "dense": DenseAggregation(),
    "skips": LongSkips(),
    "csp": Csp(),
    "recursion": Recursion(2),
    "together": Recursion(2, together=True),
}
"""The wirings of a stage's blocks."""


def wired(wiring: Any, count: int = 3, width: int = 8) -> Network:
    """A network of a wired stage of so many blocks, and a chain."""
    stages = (Stage(width, (BLOCK,) * count, None, wiring), Stage(2 * width, (Block("pool"),)))
    return Network(Conv3x3Stem(stride=1), stages)


def exiting(threshold: float = 1.2, **settings: Any) -> Network:
    """A network of three stages with an exit behind the first and the second."""
    stages = tuple(Stage(width, (BLOCK,), "pool" if i else None) for i, width in enumerate((8, 16, 16)))
    exits = (AveragePoolHead(), AveragePoolHead(None))
    return Network(Conv3x3Stem(stride=1), stages, wiring=EarlyExit(exits, threshold, **settings))


NETWORKS = {name: wired(wiring) for name, wiring in WIRINGS.items()} | {"exits": exiting()}


def stage_of(wiring: Any, count: int, channels: int = 8) -> tuple[Any, torch.Tensor]:
    """The module of so many wired blocks, in eval mode with random weights in float64, and a map for it."""
    items, site = (BLOCK,) * count, Site((channels, 6, 5))
    sites = wiring.sites(site, items)
    module = wiring.build(site, [item.build(inner) for item, inner in zip(items, sites, strict=True)], sites)
    return randomise(module.double(), 0).eval(), random(2, channels, 6, 5)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal values in float64."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def off(expected: torch.Tensor, got: torch.Tensor) -> float:
    """The largest difference, as a share of the expected values' range."""
    return float((expected - got).abs().max() / expected.abs().max().clamp(min=1.0))


def parameters(module: nn.Module) -> int:
    """How many there are."""
    return sum(parameter.numel() for parameter in module.parameters())


class WiredConformance(PartConformance):
    """The conformance of a wiring, alone, in a stage, and in a network, against the formula of a subclass."""

    def formula(self, wired: Any, x: torch.Tensor) -> torch.Tensor:
        """What the module `wired` of several blocks must give."""
        raise NotImplementedError

    def reference(self, part: Any, site: Site, module: Any, x: torch.Tensor) -> torch.Tensor:
        if part.family == "network":
            x = module.stem(x)
            for stage in module.stages:
                x = self._staged(stage, x)
            return module.head(x)
        return self._staged(module, x) if part.family == "stage" else self._wired(module, x)

    def _staged(self, stage: Any, x: torch.Tensor) -> torch.Tensor:
        return self._wired(stage.blocks, stage.downsample(x) if hasattr(stage, "downsample") else x)

    def _wired(self, wired: Any, x: torch.Tensor) -> torch.Tensor:
        if not isinstance(wired, nn.Sequential):
            return self.formula(wired, x)
        for block in wired:
            x = block(x)
        return x

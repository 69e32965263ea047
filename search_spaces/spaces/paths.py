"""Trees of paths in every block."""

from typing import Any

from search_spaces.blocks import MLP, Block, Chain, Conv3x3Stem, DepthwiseConv, Paths
from search_spaces.holes import one_of, repeat
from search_spaces.spaces import SPACES
from search_spaces.spaces.sizes import size_for
from search_spaces.topologies import Network, Stage

MULTIPLE = 8
"""Widths are multiples of it, so that channels can be split in two, and the halves in four."""


@SPACES.register("paths", source="Path-Level Network Transformation for Efficient Architecture Search")
def paths(inputs: tuple[int, ...] = (3, 224, 224), examples: int = 1_000_000, depth: int = 2) -> Network:
    """Blocks whose token mixers are trees of depthwise convolutions and poolings, to the depth at hand.

    The lowest nodes may be chains, too: a mixer with a convolution behind it.
    """
    size = size_for(inputs, examples)
    block = Block(mixer(depth), MLP(2))
    stages = []
    for i, widths in enumerate(size.widths):
        width = -(-widths[-1] // MULTIPLE) * MULTIPLE
        downsample: Any = "conv" if i else None
        stages.append(Stage(width, repeat(size.blocks[i], block), downsample))
    return Network(stem=Conv3x3Stem(size.strides[-1]), stages=tuple(stages))


def mixer(depth: int) -> Any:
    """A depthwise convolution or pooling, or, where there is depth left, a tree of paths or a chain."""
    leaves: list[Any] = [DepthwiseConv(one_of(3, 5, 7)), "pool"]
    if depth == 0:
        return one_of(*leaves)
    children = repeat(one_of(2, 4) if depth == 1 else 2, mixer(depth - 1))
    trees: list[Any] = [Paths(children, one_of("replicate", "split"))]
    if depth == 1:
        trees.append(Chain((one_of(*leaves), DepthwiseConv(one_of(3, 5, 7)))))
    return one_of(*leaves, *trees)

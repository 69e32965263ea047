"""Networks beyond the chain: how the blocks of each stage are wired is searched, and where examples may leave early."""

from typing import Any

from search_spaces.blocks import Block, Conv3x3Stem, DepthwiseConv, InvertedBottleneck
from search_spaces.holes import integers, one_of, repeat
from search_spaces.spaces import SPACES
from search_spaces.spaces.sizes import size_for
from search_spaces.topologies import Csp, DenseAggregation, EarlyExit, LongSkips, Network, Recursion, Stage

DEPTH = 2
"""How many blocks more than in other ready spaces the stages may have: wirings of one or two blocks are chains."""


@SPACES.register("wired")
def wired(inputs: tuple[int, ...] = (3, 224, 224), examples: int = 1_000_000) -> Network:
    """Convolutional stages wired as chains, densely, with long skips, in two streams or recursively; early exits."""
    size = size_for(inputs, examples)
    mixer: Any = one_of(DepthwiseConv(one_of(3, 5, 7)), InvertedBottleneck(one_of(3, 5), one_of(2, 4)), "pool")
    block = Block(mixer, one_of("mlp", "glu"), norm=one_of("batch", "layer"), norm_placement=one_of("pre", "post"))
    stages = []
    for i, widths in enumerate(size.widths):
        blocks = repeat(integers(1, size.blocks[i] + DEPTH), block)
        downsample: Any = "conv" if i else None
        stages.append(Stage(one_of(*widths), blocks, downsample, wiring()))
    exits = tuple(one_of(None, "average_pool") for _ in stages[1:])
    early: Any = one_of("chain", EarlyExit(exits, threshold=one_of(0.2, 0.5, 1.0)))
    return Network(Conv3x3Stem(one_of(*size.strides)), tuple(stages), wiring=early)


def wiring() -> Any:
    """The choices of how a stage's blocks are wired."""
    times, split = one_of(2, 3), one_of(0.25, 0.5, 0.75)
    return one_of("chain", DenseAggregation(), LongSkips(), Csp(split), Recursion(times, one_of(False, True)))

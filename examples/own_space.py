"""A search space of one's own: archfront search --space examples/own_space.py:small --data digits --evaluations 20"""

from search_spaces import Space, integers, one_of, repeat
from search_spaces.blocks import Block, DepthwiseConv, WindowAttention
from search_spaces.topologies import Network, Stage


def small() -> Space:
    """Two stages of blocks that convolve or attend; at least one block must attend."""
    block = Block(
        token_mixer=one_of(DepthwiseConv(kernel=one_of(3, 5)), WindowAttention(heads=2, window=4), "pool"),
        channel_mixer=one_of("mlp", "glu"),
        norm=one_of("batch", "layer"),
    )
    tree = Network(
        stem="conv3x3",
        stages=(
            Stage(width=one_of(16, 24), blocks=repeat(integers(1, 2), block)),
            Stage(width=one_of(32, 48), blocks=repeat(integers(1, 3), block)),
        ),
    )
    return tree.where(attends, "no block attends")


def attends(network: Network) -> bool:
    """Whether any block mixes tokens by attention."""
    return any(isinstance(block.token_mixer, WindowAttention) for stage in network.stages for block in stage.blocks)

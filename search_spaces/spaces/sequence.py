"""Sequences of tokens, to be told apart: convolution and attention along one side."""

from typing import Any

from search_spaces.blocks import (
    GLU,
    MLP,
    AveragePoolHead,
    Block,
    ConditionalEncoding,
    ConvDownsample,
    DepthwiseConv,
    InvertedBottleneck,
    SelfAttention,
    SinusoidalEncoding,
    TokenEmbeddingStem,
)
from search_spaces.holes import integers, one_of, repeat
from search_spaces.spaces import SPACES
from search_spaces.spaces.sizes import FEW, length_of
from search_spaces.topologies import Network, Stage

SMALL = ((32, 48, 64), (48, 64, 96), (64, 96, 128))
"""Widths of the stages for few examples."""
LARGE = ((64, 96, 128), (96, 128, 192), (128, 192, 256))
"""Widths of the stages for many."""
ATTENDED = 512
"""Stages of longer sequences than this leave attention out: its cost grows with the square."""
SCALE = 0.02
"""Of sinusoidal positions, so that they are about as large as the tokens' vectors begin."""


@SPACES.register("sequence")
def sequence(inputs: tuple[int, ...] = (256, 256), examples: int = 1_000_000) -> Network:
    """Staged networks of token sequences that halve the length; blocks choose convolution, attention or pooling."""
    length = length_of(inputs)
    widths = SMALL if examples < FEW else LARGE
    count = 1 if length < 16 else 2 if length < 64 else 3
    most = (2, 2, 2) if examples < FEW else (2, 3, 3)
    stages = []
    for i in range(count):
        blocks = repeat(integers(1, most[i]), block(attention=length // 2**i <= ATTENDED))
        downsample: Any = one_of("conv", ConvDownsample(kernel=2, norm="layer"), "pool") if i else None
        stages.append(Stage(one_of(*widths[i]), blocks, downsample))
    stem = TokenEmbeddingStem(one_of(None, "absolute", SinusoidalEncoding(SCALE)))
    return Network(stem=stem, stages=tuple(stages), head=AveragePoolHead(one_of("batch", "layer")))


def block(attention: bool) -> Block:
    """The choices of one block; `attention` lets it attend globally."""
    mixers: list[Any] = [
        DepthwiseConv(kernel=one_of(3, 7, 11)),
        InvertedBottleneck(kernel=one_of(3, 7), expansion=one_of(2, 4)),
        "pool",
    ]
    if attention:
        mixers.append(SelfAttention(heads=one_of(2, 4), positional_encoding=one_of(None, ConditionalEncoding())))
    return Block(
        token_mixer=one_of(*mixers),
        channel_mixer=one_of(MLP(expansion=one_of(2, 4)), GLU(expansion=2)),
        norm=one_of("batch", "layer", "rms"),
        norm_placement=one_of("pre", "post", "peri"),
        residual=one_of("add", "layer_scale"),
        channel_attention=one_of(None, "squeeze_excitation"),
    )

"""Convolution and attention, mixed block by block."""

from typing import Any

from search_spaces.blocks import (
    GLU,
    MLP,
    Block,
    ConditionalEncoding,
    Conv3x3Stem,
    ConvDownsample,
    DepthwiseConv,
    InvertedBottleneck,
    PatchifyStem,
    SelfAttention,
    WindowAttention,
)
from search_spaces.holes import integers, one_of, repeat
from search_spaces.spaces import SPACES
from search_spaces.spaces.sizes import size_for
from search_spaces.topologies import Network, Stage

TOKENS = 400
"""Stages whose maps may have more positions than this leave global attention out: its cost grows with the square."""


@SPACES.register("hybrid")
def hybrid(inputs: tuple[int, ...] = (3, 224, 224), examples: int = 1_000_000) -> Network:
    """Staged networks whose blocks choose convolution, attention or pooling, normalization and placement each."""
    size = size_for(inputs, examples)
    local, wide = block(attention=False), block(attention=True)
    stages = []
    for i, widths in enumerate(size.widths):
        positions = inputs[1] * inputs[2] // (size.strides[0] * 2**i) ** 2
        blocks = repeat(integers(1, size.blocks[i]), wide if positions <= TOKENS else local)
        downsample: Any = one_of("conv", ConvDownsample(kernel=2, norm="layer")) if i else None
        stages.append(Stage(width=one_of(*widths), blocks=blocks, downsample=downsample))
    stem: Any = one_of(
        *(Conv3x3Stem(stride) for stride in size.strides),
        *(PatchifyStem(stride) for stride in size.strides if stride > 1),
    )
    return Network(stem=stem, stages=tuple(stages))


def block(attention: bool) -> Block:
    """The choices of one block; `attention` lets it attend globally."""
    mixers: list[Any] = [
        DepthwiseConv(kernel=one_of(3, 5, 7)),
        InvertedBottleneck(kernel=one_of(3, 5), expansion=one_of(2, 4)),
        "pool",
        WindowAttention(heads=one_of(2, 4), window=4, positional_encoding="conditional"),
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

"""Dense prediction: a staged encoder of pictures, and heads that lead back to each pixel."""

from typing import Any

from search_spaces.blocks import (
    GLU,
    MLP,
    Block,
    ConditionalEncoding,
    Conv3x3Stem,
    DenseHead,
    DenseSkipsHead,
    DepthwiseConv,
    DilatedConv,
    InvertedBottleneck,
    SelfAttention,
    SemanticFpnHead,
)
from search_spaces.errors import SpaceError
from search_spaces.holes import integers, one_of, repeat
from search_spaces.spaces import SPACES
from search_spaces.spaces.hybrid import TOKENS
from search_spaces.spaces.sizes import FEW
from search_spaces.topologies import Network, Stage

SMALL = ((16, 24, 32), (32, 48, 64), (48, 64, 96), (64, 96, 128))
"""Widths of the stages for few examples."""
LARGE = ((32, 48, 64), (64, 96, 128), (128, 160, 192), (192, 256, 320))
"""Widths of the stages for many."""


@SPACES.register("dense")
def dense(inputs: tuple[int, ...] = (3, 512, 512), examples: int = 100_000) -> Network:
    """Convolutional stages, of attention where maps are small; the head scores the last map, or all stages' maps."""
    if len(inputs) != 3 or min(inputs[1:]) < 4:
        raise SpaceError(f"takes pictures (channels, height, width) of 4x4 pixels or more, not {inputs}", "inputs")
    side, few = min(inputs[1:]), examples < FEW
    stride = 1 if side < 32 else 2 if side < 192 else 4
    count = 2 if side < 16 else 3 if side < 64 else 4
    widths = SMALL if few else LARGE
    stages = []
    for i in range(count):
        positions = inputs[1] * inputs[2] // (stride * 2**i) ** 2
        blocks = repeat(integers(1, 2 if few else 3), block(attention=positions <= TOKENS))
        downsample: Any = one_of("conv", "pool") if i else None
        stages.append(Stage(one_of(*widths[i]), blocks, downsample))
    pyramid = one_of(24, 48) if few else one_of(64, 128)
    head: Any = one_of(DenseHead(), DenseSkipsHead(), SemanticFpnHead(pyramid, pyramid, norm="batch"))
    return Network(stem=Conv3x3Stem(stride), stages=tuple(stages), head=head)


def block(attention: bool) -> Block:
    """The choices of one block; `attention` lets it attend globally."""
    mixers: list[Any] = [
        DepthwiseConv(kernel=one_of(3, 5, 7)),
        DilatedConv(kernel=one_of(3, 5), dilation=2),
        InvertedBottleneck(kernel=one_of(3, 5), expansion=one_of(2, 4)),
    ]
    if attention:
        mixers.append(SelfAttention(heads=one_of(2, 4), positional_encoding=ConditionalEncoding()))
    return Block(
        token_mixer=one_of(*mixers),
        channel_mixer=one_of(MLP(expansion=one_of(2, 4)), GLU(expansion=2)),
        norm=one_of("batch", "layer"),
        norm_placement=one_of("pre", "post"),
        residual=one_of("add", "layer_scale"),
        channel_attention=one_of(None, "squeeze_excitation"),
    )

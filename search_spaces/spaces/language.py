"""Sequences of tokens, each of which is to be predicted from those before it: nothing looks ahead."""

from typing import Any

from search_spaces.blocks import (
    GLU,
    MLP,
    Block,
    ConditionalEncoding,
    DepthwiseConv,
    PerPositionHead,
    SelfAttention,
    SinusoidalEncoding,
    TokenEmbeddingStem,
)
from search_spaces.holes import integers, one_of, repeat
from search_spaces.spaces import SPACES
from search_spaces.spaces.sequence import ATTENDED, SCALE
from search_spaces.spaces.sizes import FEW, length_of
from search_spaces.topologies import Network, Stage


@SPACES.register("language")
def language(inputs: tuple[int, ...] = (256, 256), examples: int = 1_000_000) -> Network:
    """Causal convolutions and causal attention at full length, as decoders have it; the next token of each position.

    Only norms of each position by itself are among the choices, no pooling and no channel attention: these would let
    a position see later ones.
    """
    length = length_of(inputs)
    widths, most = ((64, 96, 128), 4) if examples < FEW else ((128, 192, 256), 6)
    mixers: list[Any] = [DepthwiseConv(kernel=one_of(3, 7, 11), causal=True)]
    if length <= ATTENDED:
        encoding: Any = one_of(None, ConditionalEncoding(causal=True))
        mixers.append(SelfAttention(one_of(2, 4), encoding, causal=True))
    block = Block(
        token_mixer=one_of(*mixers),
        channel_mixer=one_of(MLP(expansion=one_of(2, 4)), GLU(expansion=2)),
        norm=one_of("layer", "rms"),
        norm_placement=one_of("pre", "post", "peri"),
        residual=one_of("add", "layer_scale"),
    )
    stem = TokenEmbeddingStem(one_of(None, "absolute", SinusoidalEncoding(SCALE)))
    stage = Stage(one_of(*widths), repeat(integers(2, most), block), None)
    return Network(stem=stem, stages=(stage,), head=PerPositionHead(one_of("layer", "rms")))

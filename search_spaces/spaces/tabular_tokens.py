"""Tables whose columns are tokens that attend to each other."""

from typing import Any

from search_spaces.blocks import GLU, MLP, AveragePoolHead, Block, FeatureTokensStem, SelfAttention
from search_spaces.holes import integers, one_of, repeat
from search_spaces.spaces import SPACES
from search_spaces.spaces.sizes import FEW, columns_of
from search_spaces.topologies import Network, Stage


@SPACES.register("tabular_tokens", source="Revisiting Deep Learning Models for Tabular Data")
def tabular_tokens(inputs: tuple[int, ...] = (16,), examples: int = 100_000) -> Network:
    """The publication's FT-Transformer: a vector for each column, blocks with attention over the columns or without.

    Its cost grows with the square of the columns' number; `tabular` suits tables of many columns better.
    """
    columns_of(inputs)
    widths, most = ((16, 32, 64), 3) if examples < FEW else ((64, 128, 192), 4)
    mixer: Any = one_of(SelfAttention(one_of(2, 4)), None)
    block = Block(
        token_mixer=mixer,
        channel_mixer=one_of(MLP(one_of(1, 2, 4), activation=one_of("relu", "gelu")), GLU(one_of(1, 2))),
        norm=one_of("layer", "rms"),
        norm_placement=one_of("pre", "post"),
        residual=one_of("add", "layer_scale"),
    )
    stage = Stage(one_of(*widths), repeat(integers(1, most), block), None)
    return Network(stem=FeatureTokensStem(), stages=(stage,), head=AveragePoolHead(one_of("batch", "layer")))

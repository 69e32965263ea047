"""Tables: residual blocks of a row's features."""

from typing import Any

from search_spaces.blocks import GLU, MLP, AveragePoolHead, Block, LinearStem, PeriodicFeaturesStem
from search_spaces.holes import integers, one_of, repeat
from search_spaces.spaces import SPACES
from search_spaces.spaces.sizes import FEW, columns_of
from search_spaces.topologies import Network, Stage

EMBEDDED = 512
"""Tables of more columns than this leave embeddings of each column out: their weights would outnumber all others."""


@SPACES.register("tabular", source="Revisiting Deep Learning Models for Tabular Data")
def tabular(inputs: tuple[int, ...] = (16,), examples: int = 100_000) -> Network:
    """Residual networks of a table's rows; the numbers as they are, or each embedded by waves of learned lengths."""
    columns = columns_of(inputs)
    widths, most = ((32, 64, 128), 4) if examples < FEW else ((128, 256, 512), 6)
    block = Block(
        token_mixer=None,
        channel_mixer=one_of(MLP(one_of(1, 2, 4), activation=one_of("relu", "gelu")), GLU(one_of(1, 2))),
        norm=one_of(None, "batch", "layer"),
        norm_placement=one_of("pre", "post"),
        residual=one_of("add", "layer_scale"),
    )
    stems: list[Any] = [LinearStem(), LinearStem("batch", "relu")]
    if columns <= EMBEDDED:
        stems.append(PeriodicFeaturesStem(one_of(8, 16, 32), one_of(4, 8)))
    stage = Stage(one_of(*widths), repeat(integers(1, most), block), None)
    return Network(stem=one_of(*stems), stages=(stage,), head=AveragePoolHead(one_of("batch", "layer")))

"""The small space of the studies and the supernet in this folder, which the commit 97cd696 made."""

from search_spaces import integers, one_of, repeat
from search_spaces.blocks import Block, Conv3x3Stem, ConvDownsample, DepthwiseConv, PatchifyStem, WindowAttention
from search_spaces.blocks import InvertedBottleneck as Bottleneck
from search_spaces.topologies import Network, Stage


def tiny():
    """Two stages of parts some of whose settings stood in a supernet's keys."""
    block = Block(
        token_mixer=one_of(
            DepthwiseConv(one_of(3, 5)),
            WindowAttention(heads=one_of(1, 2), window=2),
            Bottleneck(kernel=3, expansion=2, channel_attention="squeeze_excitation"),
        ),
        channel_mixer=one_of("mlp", "glu"),
        norm=one_of("batch", "layer", "group"),
        norm_placement=one_of("pre", "peri"),
        residual=one_of("add", "layer_scale"),
    )
    downsample = one_of("conv", "pool", ConvDownsample(2, norm="layer"))
    first = Stage(8, repeat(1, block))
    second = Stage(one_of(8, 16), repeat(integers(1, 2), block), downsample)
    return Network(stem=one_of(PatchifyStem(2), Conv3x3Stem(one_of(1, 2))), stages=(first, second))

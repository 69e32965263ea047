"""Inverted bottlenecks, as the networks for phones are made of."""

from typing import Any

from search_spaces.blocks import Block, Conv3x3Stem, InvertedBottleneck
from search_spaces.holes import integers, one_of, repeat
from search_spaces.spaces import SPACES
from search_spaces.spaces.sizes import size_for
from search_spaces.topologies import Network, Stage


@SPACES.register("mobile", source="MnasNet: Platform-Aware Neural Architecture Search for Mobile")
def mobile(inputs: tuple[int, ...] = (3, 224, 224), examples: int = 1_000_000) -> Network:
    """Inverted bottlenecks that choose kernel, expansion and squeeze-and-excitation; depth and width per stage."""
    size = size_for(inputs, examples)
    stages = []
    for i, widths in enumerate(size.widths):
        blocks = repeat(integers(1, size.blocks[i]), block())
        downsample: Any = "conv" if i else None
        stages.append(Stage(width=one_of(*widths), blocks=blocks, downsample=downsample))
    return Network(stem=Conv3x3Stem(one_of(*size.strides), activation="hard_swish"), stages=tuple(stages))


def block() -> Block:
    """The choices of one block. The bottleneck mixes channels and normalizes itself."""
    mixer = InvertedBottleneck(
        kernel=one_of(3, 5, 7),
        expansion=one_of(3, 4, 6),
        activation=one_of("relu", "hard_swish"),
        channel_attention=one_of(None, "squeeze_excitation"),
    )
    return Block(token_mixer=mixer, channel_mixer=None, norm=None)

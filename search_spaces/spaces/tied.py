"""Networks whose layers may share weights, made from any staged space by one function."""

from dataclasses import replace
from typing import Any

from search_spaces.blocks import MLP, Block, ConditionalEncoding, Conv3x3Stem, DepthwiseConv, SelfAttention
from search_spaces.errors import SpaceError
from search_spaces.holes import OneOf, Repeat, integers, one_of, repeat
from search_spaces.parts import has_holes
from search_spaces.spaces import SPACES
from search_spaces.spaces.hybrid import TOKENS
from search_spaces.spaces.sizes import size_for
from search_spaces.topologies import Network, Stage, Tied

DEPTH = 2
"""How many times as deep as in other ready spaces the stages are: ties take the additional weights away again."""


@SPACES.register("tied", source="Dynamic Layer Tying for Parameter-Efficient Transformers")
def tied(inputs: tuple[int, ...] = (3, 224, 224), examples: int = 1_000_000) -> Tied:
    """Deep stages of equal blocks, of attention where maps are small; each may have the weights of an earlier one."""
    size = size_for(inputs, examples)
    stages = []
    for i, widths in enumerate(size.widths):
        positions = inputs[1] * inputs[2] // (size.strides[0] * 2**i) ** 2
        mixers: list[Any] = [DepthwiseConv(one_of(3, 5))]
        if positions <= TOKENS:
            mixers.append(SelfAttention(heads=one_of(2, 4), positional_encoding=ConditionalEncoding()))
        block = Block(one_of(*mixers), MLP(one_of(2, 4)), norm="layer")
        depth = repeat(integers(DEPTH, DEPTH * size.blocks[i]), block)
        downsample: Any = "conv" if i else None
        stages.append(Stage(one_of(*widths), depth, downsample))
    return with_ties(Network(stem=Conv3x3Stem(one_of(*size.strides)), stages=tuple(stages)))


def with_ties(network: Any) -> Tied:
    """The space of a staged network (a tree, with or without holes) with the ties of its layers as further holes.

    Each layer is its own, or has the weights of one of the earlier layers of its stage. Only equal layers can be
    tied: so the blocks of a `repeat` choose alike, and of blocks that stand in a tuple only those without holes, to
    which an equal one is earlier, can be. Raises `SpaceError` for a tree without stages, or with stages that are
    themselves a hole.
    """
    stages = getattr(network, "stages", None)
    if not isinstance(stages, tuple) or any(isinstance(stage, OneOf | Repeat) for stage in stages):
        raise SpaceError("takes a network with a tuple of stages, which are no holes themselves", "with_ties.network")
    rows = []
    alike = []
    for stage in stages:
        blocks = stage.blocks
        if isinstance(blocks, Repeat):
            blocks = Repeat(blocks.count, blocks.item, shared=True)
            counts = blocks.count.options if isinstance(blocks.count, OneOf) else (blocks.count,)
            rows.append(tuple(integers(0, place) for place in range(max(counts))))
        elif isinstance(blocks, tuple):
            rows.append(tuple(one_of(*_equals(blocks, place), place) for place in range(len(blocks))))
        else:
            raise SpaceError("takes stages whose blocks are a tuple or a repeat()", "with_ties.network")
        alike.append(replace(stage, blocks=blocks))
    return Tied(replace(network, stages=tuple(alike)), tuple(rows))


def _equals(blocks: tuple[Any, ...], place: int) -> list[int]:
    """The places of the earlier blocks that are surely equal to the one at `place`."""
    return [i for i in range(place) if blocks[i] == blocks[place] and not has_holes(blocks[place])]

"""LCNets, of "PP-LCNet: A Lightweight CPU Convolutional Neural Network"."""

from dataclasses import replace
from typing import Any

from search_spaces.blocks import (
    Conv3x3Stem,
    DepthwiseSeparableBlock,
    DepthwiseSeparableDownsample,
    PointwiseHead,
    SqueezeExcitation,
)
from search_spaces.holes import integers, one_of
from search_spaces.networks.staging import scaled, staged, strides, widths
from search_spaces.topologies import Network

ATTENTION = SqueezeExcitation(gate="hard_sigmoid", divisor=1)
"""That of the last stage."""
WIDTHS = (16, 32, 64, 128, 256, 512)
"""The stem's and the stages', to be multiplied."""
STAGES = ((3, 3, 0, None), (3, 3, 1, None), (3, 3, 1, None), (3, 5, 5, None), (5, 5, 1, ATTENTION))
"""For each stage the kernel of the convolution that it begins with, that of the others, how many, their attention."""


def lcnet(inputs: tuple[int, ...], width: float = 1.0) -> Network:
    """PP-LCNet, its widths multiplied by `width`."""
    stages = [
        (
            DepthwiseSeparableDownsample(first, activation="hard_swish", channel_attention=attention),
            count,
            DepthwiseSeparableBlock(kernel, activation="hard_swish", channel_attention=attention),
        )
        for first, kernel, count, attention in STAGES
    ]
    return _lcnet(inputs, scaled(WIDTHS, width), stages, "hard_swish", PointwiseHead(0, 1280))


def lcnets(inputs: tuple[int, ...]) -> Network:
    """All, with every field open."""
    activation: Any = one_of("hard_swish", "relu", "silu")
    fields: dict[str, Any] = {
        "kernel": one_of(3, 5, 7),
        "activation": activation,
        "channel_attention": one_of(None, ATTENTION, "eca"),
    }
    stages = [
        (DepthwiseSeparableDownsample(**fields), integers(0, count + 1), DepthwiseSeparableBlock(**fields))
        for _, _, count, _ in STAGES
    ]
    head = PointwiseHead(0, one_of(0, 320, 640, 1280), activation=activation)
    return _lcnet(inputs, [widths(width) for width in WIDTHS], stages, activation, head)


def _lcnet(inputs: tuple[int, ...], found: Any, stages: Any, activation: Any, head: Any) -> Network:
    """All stages but the first halve."""
    stem, *steps = strides(inputs, 5)
    rest = zip(found[1:], (1, *steps), stages, strict=True)
    begun = [(width, replace(begin, stride=stride), count, block) for width, stride, (begin, count, block) in rest]
    return staged(Conv3x3Stem(stem, activation=activation), (found[0], 0, None), begun, head)

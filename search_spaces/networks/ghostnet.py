"""GhostNets, of "GhostNet: More Features from Cheap Operations"."""

from collections.abc import Sequence
from typing import Any

from search_spaces.blocks import (
    Conv3x3Stem,
    GhostBottleneckBlock,
    GhostBottleneckDownsample,
    PointwiseHead,
    SqueezeExcitation,
)
from search_spaces.holes import integers, one_of, repeat
from search_spaces.networks.staging import scaled, staged, strides, widths
from search_spaces.topologies import Network

ATTENTION = SqueezeExcitation(gate="hard_sigmoid", divisor=4, round_limit=0.9)
"""Of about every second bottleneck."""

Row = tuple[int, int, float, Any, int, tuple[tuple[float, Any], ...]]
"""A stage: kernel, width, expansion and attention of its first block, strided or not, and those of the others."""

STAGES: tuple[Row, ...] = (
    (3, 24, 3, None, 1, ((3, None),)),
    (5, 40, 3, ATTENTION, 1, ((3, ATTENTION),)),
    (3, 80, 6, None, 1, ((2.5, None), (2.3, None), (2.3, None))),
    (3, 112, 6, ATTENTION, 0, ((6, ATTENTION),)),
    (5, 160, 6, ATTENTION, 1, ((6, None), (6, ATTENTION), (6, None), (6, ATTENTION))),
)


def ghostnet(inputs: tuple[int, ...], width: float = 1.0) -> Network:
    """GhostNet, its widths multiplied by `width`."""
    first = (GhostBottleneckBlock(1),)
    rows = []
    for kernel, channels, expansion, attention, strided, others in STAGES:
        fields = {"kernel": kernel, "expansion": expansion, "channel_attention": attention}
        blocks = tuple(GhostBottleneckBlock(more, channel_attention=own) for more, own in others)
        rows.append((scaled([channels], width, 4)[0], fields, blocks, strided))
    head = PointwiseHead(scaled([960], width, 4)[0], 1280, activation="relu")
    return _ghostnet(inputs, scaled([16], width, 4)[0], first, rows, "relu", head)


def ghostnets(inputs: tuple[int, ...]) -> Network:
    """All, with every field open."""
    activation: Any = one_of("relu", "hard_swish")
    fields: dict[str, Any] = {
        "expansion": one_of(1, 2, 2.3, 2.5, 3, 6),
        "cheap_kernel": one_of(3, 5),
        "activation": activation,
        "channel_attention": one_of(None, ATTENTION),
    }
    block = GhostBottleneckBlock(**fields)
    rows = [
        (widths(row[1], divisor=4), {"kernel": one_of(3, 5), **fields}, repeat(integers(0, len(row[5])), block), row[4])
        for row in STAGES
    ]
    before: Any = widths(960, divisor=4)
    head = PointwiseHead(one_of(0, *before.options), one_of(0, 640, 1280), activation=activation)
    first = repeat(integers(0, 1), block)
    return _ghostnet(inputs, widths(16, divisor=4), first, rows, activation, head)


def _ghostnet(
    inputs: tuple[int, ...], stem: Any, first: Any, rows: Sequence[Any], activation: Any, head: Any
) -> Network:
    """Stages of (width, fields of the first block, blocks, strided); the stem halves, too."""
    step, *steps = strides(inputs, 1 + sum(strided for *_, strided in rows))
    begun = []
    for width, fields, blocks, strided in rows:
        begun.append((width, GhostBottleneckDownsample(**fields, stride=steps.pop(0) if strided else 1), None, blocks))
    return staged(Conv3x3Stem(step, activation=activation), (stem, None, first), begun, head)

"""MobileNetV3s, of "Searching for MobileNetV3", and EfficientNet-Lites, of "EfficientNet: Rethinking Model Scaling"."""

from collections.abc import Sequence
from typing import Any

from search_spaces.blocks import (
    Block,
    Conv3x3Stem,
    InvertedBottleneck,
    InvertedBottleneckDownsample,
    PointwiseHead,
    SqueezeExcitation,
)
from search_spaces.holes import integers, one_of, repeat
from search_spaces.networks.staging import scaled, staged, strides, widths
from search_spaces.topologies import Network

ATTENTION = SqueezeExcitation(gate="hard_sigmoid", round_limit=0.9)
"""Of MobileNetV3."""

Row = tuple[int, int, float, tuple[float, ...], int, Any, str]
"""A stage: kernel, width, expansions of its first block and of the others, strided or not, attention, activation."""

SMALL: tuple[Row, ...] = (
    (3, 16, 1, (), 1, ATTENTION, "relu"),
    (3, 24, 4.5, (3.67,), 1, None, "relu"),
    (5, 40, 4, (6, 6), 1, ATTENTION, "hard_swish"),
    (5, 48, 3, (3,), 0, ATTENTION, "hard_swish"),
    (5, 96, 6, (6, 6), 1, ATTENTION, "hard_swish"),
)
LARGE: tuple[Row, ...] = (
    (3, 24, 4, (3,), 1, None, "relu"),
    (5, 40, 3, (3, 3), 1, ATTENTION, "relu"),
    (3, 80, 6, (2.5, 2.3, 2.3), 1, None, "hard_swish"),
    (3, 112, 6, (6,), 0, ATTENTION, "hard_swish"),
    (5, 160, 6, (6, 6), 1, ATTENTION, "hard_swish"),
)
LITE: tuple[Row, ...] = (
    (3, 16, 1, (), 0, None, "relu6"),
    (3, 24, 6, (6,), 1, None, "relu6"),
    (5, 40, 6, (6,), 1, None, "relu6"),
    (3, 80, 6, (6, 6), 1, None, "relu6"),
    (5, 112, 6, (6, 6), 0, None, "relu6"),
    (5, 192, 6, (6, 6, 6), 1, None, "relu6"),
    (3, 320, 6, (), 0, None, "relu6"),
)
EXPANSIONS = (1, 2, 2.3, 2.5, 3, 3.67, 4, 4.5, 6)
"""Those that the networks have, and 2."""


def mobilenetv3_small(inputs: tuple[int, ...], width: float = 1.0) -> Network:
    """MobileNetV3-Small, its widths multiplied by `width`; the stem stays as it is below 0.75."""
    stem = 16 if width < 0.75 else scaled([16], width)[0]
    return _ready(inputs, stem, (), SMALL, width, "hard_swish", PointwiseHead(scaled([576], width)[0], 1024))


def mobilenetv3_large(inputs: tuple[int, ...], width: float = 1.0) -> Network:
    """MobileNetV3-Large, its widths multiplied by `width`."""
    stem = 16 if width < 0.75 else scaled([16], width)[0]
    if stem != scaled([16], width)[0]:
        lead: tuple[Row, ...] = ((3, 16, 1, (), 0, None, "relu"),)
        return _ready(inputs, stem, (), (*lead, *LARGE), width, "hard_swish", _large_head(width))
    first = (_block(InvertedBottleneck(3, 1, activation="relu", divisor=8)),)
    return _ready(inputs, stem, first, LARGE, width, "hard_swish", _large_head(width))


def _large_head(width: float) -> PointwiseHead:
    return PointwiseHead(scaled([960], width)[0], 1280)


def efficientnet_lite(inputs: tuple[int, ...], width: float = 1.0) -> Network:
    """EfficientNet-Lite0, its stages' widths multiplied by `width`: ReLU6, no attention."""
    head = PointwiseHead(1280, 0, activation="relu6")
    return _ready(inputs, 32, (), LITE, width, "relu6", head)


def mobilenetv3s(inputs: tuple[int, ...]) -> Network:
    """All of MobileNetV3's small and large ones, with every field open."""
    activation: Any = one_of("relu", "hard_swish", "silu")
    fields = _open(activation, one_of(None, ATTENTION, "eca"))
    rows = [(widths(small[1], large[1]), small[4]) for small, large in zip(SMALL, LARGE, strict=True)]
    first = repeat(integers(0, 1), _block(InvertedBottleneck(**fields, divisor=8)))
    head = PointwiseHead(
        one_of(0, *sorted({*widths(576).options, *widths(960).options})),
        one_of(0, 512, 1024, 1280),
    )
    blocks: Any = repeat(integers(0, 3), _block(InvertedBottleneck(**fields, divisor=8)))
    return _made(inputs, one_of(8, 16, 24), first, [(w, fields, blocks, s) for w, s in rows], activation, head)


def efficientnet_lites(inputs: tuple[int, ...]) -> Network:
    """All with EfficientNet's stages, with every field open."""
    activation: Any = one_of("relu6", "relu", "hard_swish")
    fields = _open(activation, one_of(None, ATTENTION))
    block = _block(InvertedBottleneck(**fields, divisor=8))
    rows = [(widths(row[1]), fields, repeat(integers(0, 3), block, shared=True), row[4]) for row in LITE]
    head = PointwiseHead(one_of(320, 640, 1280), 0, activation=activation)
    return _made(inputs, one_of(16, 24, 32), (), rows, activation, head)


def _open(activation: Any, attention: Any) -> dict[str, Any]:
    expansion: Any = one_of(*EXPANSIONS)
    return {
        "kernel": one_of(3, 5, 7),
        "expansion": expansion,
        "activation": activation,
        "channel_attention": attention,
    }


def _block(mixer: Any) -> Block:
    return Block(token_mixer=mixer, channel_mixer=None, norm=None)


def _ready(
    inputs: tuple[int, ...], stem: int, first: Any, rows: Sequence[Row], width: float, activation: str, head: Any
) -> Network:
    """The network of a table of stages."""
    found = []
    for kernel, channels, begin, expansions, strided, attention, acts in rows:
        fields = {"kernel": kernel, "expansion": begin, "activation": acts, "channel_attention": attention}
        mixers = [InvertedBottleneck(**{**fields, "expansion": more}, divisor=8) for more in expansions]
        found.append((scaled([channels], width)[0], fields, tuple(map(_block, mixers)), strided))
    return _made(inputs, stem, first, found, activation, head)


def _made(inputs: tuple[int, ...], stem: Any, first: Any, rows: Sequence[Any], activation: Any, head: Any) -> Network:
    """Stages of (width, fields of the first block, blocks, strided); stem and four stages halve."""
    step, *steps = strides(inputs, 1 + sum(strided for *_, strided in rows))
    begun = []
    for width, fields, blocks, strided in rows:
        begin = InvertedBottleneckDownsample(**fields, stride=steps.pop(0) if strided else 1)
        begun.append((width, begin, None, blocks))
    return staged(Conv3x3Stem(step, activation=activation), (stem, None, first), begun, head)

"""ResNets, of "Deep Residual Learning for Image Recognition"."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from search_spaces.blocks import (
    AveragePoolHead,
    BasicBlock,
    BasicDownsample,
    BottleneckBlock,
    BottleneckDownsample,
    Conv3x3Stem,
    ConvStem,
)
from search_spaces.holes import integers, one_of
from search_spaces.networks.staging import halvings, staged, strides
from search_spaces.topologies import Network

KINDS: dict[str, tuple[Any, Any]] = {
    "basic": (BasicBlock, BasicDownsample),
    "bottleneck": (BottleneckBlock, BottleneckDownsample),
}
"""The blocks of the stages, and what each stage begins with."""


def resnet(
    inputs: tuple[int, ...],
    widths: Sequence[int] = (64, 128, 256, 512),
    depths: Sequence[int] = (2, 2, 2, 2),
    kind: str = "basic",
    shortcut: str = "conv",
) -> Network:
    """ResNet-18, or another: of these widths, so many blocks in each stage, of the `kind` "basic" or "bottleneck".

    The widths of bottlenecks are those outside, 256 for ResNet-50's first; the stem has a quarter of that.
    """
    block, begin = KINDS[kind]
    return _resnet(inputs, widths, depths, kind, block(), begin(shortcut=shortcut), _stem(inputs))


def resnets(inputs: tuple[int, ...], stages: int = 4, kind: str = "basic") -> Network:
    """All of so many stages and this kind, with every field open."""
    block, begin = KINDS[kind]
    least = 8 if kind == "basic" else 32
    found = [one_of(*(least * 2**stage * factor // 2 for factor in (2, 3, 4, 6, 8, 12, 16))) for stage in range(stages)]
    fields: dict[str, Any] = {
        "kernel": one_of(3, 5),
        "expansion": one_of(0.5, 1, 2) if kind == "basic" else one_of(0.25, 0.5),
        "norm": one_of("batch", "layer"),
        "activation": one_of("relu", "hard_swish", "silu"),
        "channel_attention": one_of(None, "squeeze_excitation", "eca"),
    }
    counts = [integers(1, 4)] * stages
    opened = begin(**fields, shortcut=one_of("conv", "pool"))
    return _resnet(inputs, found, counts, kind, block(**fields), opened, one_of(_stem(inputs), *_other_stems(inputs)))


def _resnet(
    inputs: tuple[int, ...], widths: Sequence[Any], depths: Sequence[Any], kind: str, block: Any, begin: Any, stem: Any
) -> Network:
    """A stage begins where the width changes: bottlenecks' first does, since the stem is narrower."""
    steps = strides(inputs, 2 + len(widths) - 1)[2:]
    rest = zip(widths[1:], steps, depths[1:], strict=True)
    begun = [(width, replace(begin, stride=stride), _less(depth), block) for width, stride, depth in rest]
    if kind == "basic":
        return staged(stem, (widths[0], depths[0], block), begun, AveragePoolHead(norm=None))
    first = (widths[0], replace(begin, stride=1), _less(depths[0]), block)
    return staged(stem, (_quarter(widths[0]), 0, block), [first, *begun], AveragePoolHead(norm=None))


def _less(depth: Any) -> Any:
    """The blocks that follow the one which a stage begins with."""
    return depth - 1 if isinstance(depth, int) else one_of(*(count - 1 for count in depth.options))


def _quarter(width: Any) -> Any:
    return width // 4 if isinstance(width, int) else one_of(*(count // 4 for count in width.options))


def _stem(inputs: tuple[int, ...]) -> Any:
    """Of 224 pixels 7x7 and pooling, of 64 a stride or pooling less, of 32 a convolution of 3x3 alone."""
    halved = max(0, halvings(inputs) - 3)
    return ConvStem() if halved == 2 else Conv3x3Stem(stride=1 + halved)


def _other_stems(inputs: tuple[int, ...]) -> list[Any]:
    """Others that halve as often, and one that halves once more."""
    halved = max(0, halvings(inputs) - 3)
    if halved == 2:
        return [ConvStem(kernel=3), Conv3x3Stem(stride=4)]
    return [ConvStem(kernel=5, stride=1 + halved, pool=1), *([Conv3x3Stem(stride=2 + 2 * halved)])]

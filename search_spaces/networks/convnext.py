"""ConvNeXts, of "A ConvNet for the 2020s"."""

from collections.abc import Sequence
from typing import Any

from search_spaces.blocks import (
    GLU,
    MLP,
    AveragePoolHead,
    ConvDownsample,
    ConvNeXtBlock,
    PatchifyStem,
)
from search_spaces.holes import integers, one_of
from search_spaces.networks.staging import halvings, staged, strides
from search_spaces.topologies import Network


def convnext(
    inputs: tuple[int, ...], widths: Sequence[int] = (96, 192, 384, 768), depths: Sequence[int] = (3, 3, 9, 3)
) -> Network:
    """ConvNeXt-T, or another of these widths and depths.

    Patches are of 4x4 pixels, of pictures below 56 pixels of 2x2, and below 28 each pixel is one.
    """
    head = AveragePoolHead("layer", pooled_first=True)
    return _convnext(inputs, _patch(inputs), widths, depths, ConvNeXtBlock(), "layer", head)


def convnexts(inputs: tuple[int, ...], stages: int = 4) -> Network:
    """All of so many stages, with every field open."""
    mixer: Any = one_of(MLP(one_of(2, 3, 4), one_of("gelu", "hard_swish", "relu")), GLU(one_of(1.5, 2, 3)))
    block = ConvNeXtBlock(
        kernel=one_of(3, 5, 7, 9),
        norm=one_of("layer", "batch", "rms"),
        channel_mixer=mixer,
        residual=one_of("layer_scale", "add"),
        channel_attention=one_of(None, "squeeze_excitation", "eca"),
    )
    found = [one_of(*(8 * 2**stage * factor for factor in (2, 3, 4, 5, 6, 8, 12))) for stage in range(stages)]
    most = [4, 4, 9, 4]
    counts = [integers(1, count) for count in most[-stages:]]
    patch, norm = _patch(inputs), one_of("layer", "batch")
    patches: Any = one_of(*sorted({max(1, patch // 2), patch}))
    head: Any = one_of(AveragePoolHead("layer", pooled_first=True), AveragePoolHead(norm))
    return _convnext(inputs, patches, found, counts, block, norm, head)


def _patch(inputs: tuple[int, ...]) -> int:
    return 2 ** max(0, min(2, halvings(inputs) - 2))


def _convnext(
    inputs: tuple[int, ...],
    patch: Any,
    widths: Sequence[Any],
    depths: Sequence[Any],
    block: Any,
    norm: Any,
    head: Any,
) -> Network:
    rest = zip(widths[1:], depths[1:], strides(inputs, len(widths) - 1), strict=True)
    begun = [(width, _begin(norm, stride), depth, block) for width, depth, stride in rest]
    return staged(PatchifyStem(patch, norm, bias=True), (widths[0], depths[0], block), begun, head)


def _begin(norm: Any, stride: int) -> ConvDownsample:
    return ConvDownsample(kernel=2 if stride == 2 else 3, norm=norm, norm_first=True, stride=stride)

"""RepVGGs, of "RepVGG: Making VGG-style ConvNets Great Again"."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from search_spaces.blocks import AveragePoolHead, RepVGGBlock, RepVGGDownsample, RepVGGStem
from search_spaces.holes import integers, one_of
from search_spaces.networks.staging import staged, strides
from search_spaces.topologies import Network


def repvgg(
    inputs: tuple[int, ...],
    widths: Sequence[int] = (48, 96, 192, 1280),
    depths: Sequence[int] = (2, 4, 14, 1),
    stem: int | None = None,
) -> Network:
    """RepVGG-A0, or another of these widths and depths; the stem has the first stage's width, unless it is given."""
    counts = [depth - 1 for depth in depths]
    return _repvgg(inputs, stem or widths[0], widths, counts, RepVGGBlock(), RepVGGDownsample(), {})


def repvggs(inputs: tuple[int, ...], stages: int = 4) -> Network:
    """All of so many stages, with every field open."""
    fields: dict[str, Any] = {
        "kernel": one_of(3, 5),
        "activation": one_of("relu", "hard_swish", "silu"),
        "channel_attention": one_of(None, "squeeze_excitation", "eca"),
    }
    widths = [one_of(*(4 * 2**stage * factor for factor in (2, 3, 4, 6, 8, 12, 16))) for stage in range(stages)]
    last: Any = one_of(*widths[-1].options, *(width for width in (512, 1280) if width not in widths[-1].options))
    stem = {"kernel": one_of(3, 5), "activation": one_of("relu", "hard_swish", "silu")}
    counts = [integers(0, 3)] * (stages - 1) + [integers(0, 2)]
    block, begin = RepVGGBlock(**fields), RepVGGDownsample(**fields)
    return _repvgg(inputs, one_of(8, 12, 16, 24, 32, 48, 64), [*widths[:-1], last], counts, block, begin, stem)


def _repvgg(
    inputs: tuple[int, ...],
    stem: Any,
    widths: Sequence[Any],
    counts: Sequence[Any],
    block: Any,
    begin: Any,
    first: dict[str, Any],
) -> Network:
    steps = strides(inputs, 1 + len(widths))
    rest = zip(widths, steps[1:], counts, strict=True)
    begun = [(width, replace(begin, stride=stride), count, block) for width, stride, count in rest]
    return staged(RepVGGStem(stride=steps[0], **first), (stem, 0, block), begun, AveragePoolHead(norm=None))

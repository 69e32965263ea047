"""Spectrograms: the blocks of `hybrid` behind stems that may treat bands and frames differently."""

from typing import Any

from search_spaces.blocks import Conv3x3Stem, ConvDownsample, SpectrogramPatchesStem
from search_spaces.holes import integers, one_of, repeat
from search_spaces.spaces import SPACES
from search_spaces.spaces.hybrid import TOKENS, block
from search_spaces.spaces.sizes import size_for
from search_spaces.topologies import Network, Stage


@SPACES.register("audio")
def audio(inputs: tuple[int, ...] = (1, 64, 200), examples: int = 1_000_000) -> Network:
    """Staged networks of spectrograms (1, mel bands, frames), of convolution, attention and pooling, block by block."""
    size = size_for(inputs, examples)
    local, wide = block(attention=False), block(attention=True)
    stages = []
    for i, widths in enumerate(size.widths):
        positions = inputs[1] * inputs[2] // (size.strides[0] * 2**i) ** 2
        blocks = repeat(integers(1, size.blocks[i]), wide if positions <= TOKENS else local)
        downsample: Any = one_of("conv", ConvDownsample(kernel=2, norm="layer")) if i else None
        stages.append(Stage(one_of(*widths), blocks, downsample))
    stems = [stem for stride in size.strides for stem in stems_of(stride, inputs[1:], len(stages))]
    return Network(stem=one_of(*stems), stages=tuple(stages))


def stems_of(stride: int, sides: tuple[int, ...], stages: int) -> list[Any]:
    """A convolution, patches that overlap by half, and, where bands are left for it, patches twice as many bands high.

    Each takes steps of `stride` frames.
    """
    found: list[Any] = [Conv3x3Stem(stride)]
    if min(sides) >= 2 * stride * 2 ** (stages - 1):
        found.append(SpectrogramPatchesStem(2 * stride, 2 * stride, overlap=stride))
        found.append(SpectrogramPatchesStem(2 * stride, stride, overlap=0))
    return found

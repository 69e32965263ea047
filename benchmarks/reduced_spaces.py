"""CIFAR-10 at 16x16 pixels and two small spaces, so that hundreds of trainings fit two cores.

`mobile` and `hybrid` are the ready spaces of these names with two stages of one or two blocks, a stem that halves the
resolution, narrower widths, and, in `mobile`, smaller expansions over a wider range.
"""

import os
from pathlib import Path

import numpy as np

from evaluators.datasets import DataSet, load
from evaluators.datasets.arrays import Array, Arrays
from search_spaces.blocks import Block, Conv3x3Stem, ConvDownsample, InvertedBottleneck, PatchifyStem
from search_spaces.holes import integers, one_of, repeat
from search_spaces.space import Space
from search_spaces.spaces.hybrid import block as hybrid_block
from search_spaces.topologies import Network, Stage

INPUTS, OUTPUTS = (3, 16, 16), 10


def cifar16() -> Arrays:
    """The subset of CIFAR-10, each 2x2 pixels averaged; half of the training pictures validate."""
    folder = Path(os.environ.get("ARCHFRONT_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    with np.load(folder / "images" / "cifar10_subset_uint8.npz", allow_pickle=False) as archive:
        pairs = [(halved(archive[f"x_{split}"]), archive[f"y_{split}"]) for split in ("train", "test")]
    return Arrays(pairs[0], None, pairs[1])


def halved(images: Array) -> Array:
    """Pictures (n, height, width, channels) at half the resolution."""
    n, height, width, channels = images.shape
    blocks = images.reshape(n, height // 2, 2, width // 2, 2, channels).astype(np.float32)
    return np.rint(blocks.mean((2, 4))).astype(np.uint8)


def data() -> DataSet:
    """5,000 training, 5,000 validation and 2,000 test pictures."""
    return load(f"{__file__}:cifar16", seed=0, validation=0.5)


def mobile() -> Space:
    """Inverted bottlenecks."""
    mixer = InvertedBottleneck(
        kernel=one_of(3, 5, 7),
        expansion=one_of(1, 2, 4),
        activation=one_of("relu", "hard_swish"),
        channel_attention=one_of(None, "squeeze_excitation"),
    )
    block = Block(token_mixer=mixer, channel_mixer=None, norm=None)
    first = Stage(width=one_of(8, 16, 32), blocks=repeat(integers(1, 2), block), downsample=None)
    second = Stage(width=one_of(16, 32, 64), blocks=repeat(integers(1, 2), block), downsample="conv")
    return Space(Network(stem=Conv3x3Stem(2, activation="hard_swish"), stages=(first, second)), "mobile")


def hybrid() -> Space:
    """Convolution and attention, mixed block by block."""
    block = hybrid_block(attention=True)
    first = Stage(width=one_of(8, 16, 24), blocks=repeat(integers(1, 2), block), downsample=None)
    second = Stage(
        width=one_of(16, 32, 48),
        blocks=repeat(integers(1, 2), block),
        downsample=one_of("conv", ConvDownsample(kernel=2, norm="layer")),
    )
    return Space(Network(stem=one_of(Conv3x3Stem(2), PatchifyStem(2)), stages=(first, second)), "hybrid")


SPACES = {"mobile": mobile, "hybrid": hybrid}

"""How large the networks of a staged space should be for a data set."""

from dataclasses import dataclass, replace

from search_spaces.errors import SpaceError


@dataclass(frozen=True)
class Size:
    """What fits the images: the options of the stem's stride, of each stage's width, and each stage's depth."""

    strides: tuple[int, ...]
    widths: tuple[tuple[int, ...], ...]
    blocks: tuple[int, ...]
    """The most blocks of each stage."""


TINY = Size((1, 2), ((8, 16, 24), (16, 32, 48)), (2, 2))
"""Images to 12 pixels, as the 8 of digits: the stem may keep the resolution, the last stage has 4x4 or 2x2."""
SMALL = Size((2,), ((16, 24, 32), (32, 48, 64), (64, 96, 128)), (2, 3, 2))
"""Images to 47 pixels, as CIFAR's 32: the last stage has 4x4."""
MEDIUM = Size((4,), ((24, 32, 48), (48, 64, 96), (96, 128, 160)), (2, 3, 2))
"""Images to 95 pixels, as 64: the last stage has 4x4."""
LARGE = Size((4,), ((32, 48, 64), (64, 96, 128), (128, 192, 256), (256, 320, 384)), (3, 3, 6, 3))
"""Larger ones, as ImageNet's 224: the last stage has 7x7."""

FEW = 20_000
"""With fewer examples than this, stages have at most two blocks: more overfit, and cost more than they bring."""


def size_for(inputs: tuple[int, ...], examples: int) -> Size:
    """The size for `examples` training images of shape `inputs` (channels, height, width).

    Raises `SpaceError` for images below 2x2 pixels.
    """
    if len(inputs) != 3 or min(inputs[1:]) < 2:
        raise SpaceError(f"takes images (channels, height, width) of 2x2 pixels or more, not {inputs}", "inputs")
    side = min(inputs[1:])
    size = TINY if side <= 12 else SMALL if side < 48 else MEDIUM if side < 96 else LARGE
    if side < 4:
        size = replace(size, strides=(1,))
    return size if examples >= FEW else replace(size, blocks=tuple(min(2, blocks) for blocks in size.blocks))


def length_of(inputs: tuple[int, ...]) -> int:
    """How many tokens a sequence has, of inputs (vocabulary, length); raises `SpaceError` for other inputs."""
    if len(inputs) != 2 or inputs[0] < 2 or inputs[1] < 1:
        raise SpaceError(f"takes tokens (vocabulary, length), of a vocabulary of 2 or more, not {inputs}", "inputs")
    return inputs[1]


def columns_of(inputs: tuple[int, ...]) -> int:
    """How many columns a table has, of inputs (columns,); raises `SpaceError` for other inputs."""
    if len(inputs) != 1 or inputs[0] < 1:
        raise SpaceError(f"takes rows of a table (columns,), not {inputs}", "inputs")
    return inputs[0]

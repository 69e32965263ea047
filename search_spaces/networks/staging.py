"""What the families have in common: how often pictures are halved, rounded widths, stages that begin with a block."""

from collections.abc import Iterable, Sequence
from math import floor, log2
from typing import Any

from search_spaces.errors import SpaceError
from search_spaces.holes import OneOf, Repeat, one_of, repeat
from search_spaces.layers.rounded import rounded
from search_spaces.topologies import Network, Stage

LEAST = 3.5
"""The pixels along the last map's side that classic networks have at least; of 224 pixels they leave 7."""
MOST = 5
"""The halvings of classic networks for pictures of 224 pixels."""
MULTIPLIERS = (0.25, 0.35, 0.5, 0.75, 1.0, 1.5)
"""What the widths of a family are multiplied by, where its space leaves them open."""

Begun = tuple[Any, Any, Any, Any]
"""A stage: its width, the downsample that it begins with, how many blocks follow, and which."""


def halvings(inputs: tuple[int, ...]) -> int:
    """How often pictures of `inputs` are halved: 5 times from 112 pixels, 4 from 56, 3 from 28, and so on.

    So the stem keeps pictures of 32 pixels as they are, and halves those of 64, as usual. Raises `SpaceError` for what
    isn't (channels, height, width).
    """
    if len(inputs) != 3 or min(inputs) < 1:
        raise SpaceError(f"takes pictures (channels, height, width), not {inputs}", "inputs")
    return max(0, min(MOST, floor(log2(min(inputs[1:]) / LEAST))))


def strides(inputs: tuple[int, ...], places: int) -> tuple[int, ...]:
    """The stride at each place where a family halves pictures of 224 pixels: the first ones keep smaller pictures."""
    halved = min(places, halvings(inputs))
    return (1,) * (places - halved) + (2,) * halved


def scaled(channels: Sequence[int], multiplier: float, divisor: int = 8) -> tuple[int, ...]:
    """Widths times a multiplier, as multiples of the divisor, as timm rounds them."""
    return tuple(rounded(count * multiplier, divisor) for count in channels)


def widths(*channels: int, divisor: int = 8) -> Any:
    """A hole for all multiples of these widths by `MULTIPLIERS`."""
    return one_of(*sorted({width for factor in MULTIPLIERS for width in scaled(channels, factor, divisor)}))


def times(count: Any, block: Any) -> Any:
    """So many equal blocks, of which a hole may stand for the count; a tuple of blocks as it is."""
    if isinstance(block, tuple | Repeat):
        return block
    hole: Any = count
    return repeat(hole, block, shared=True) if isinstance(count, OneOf) else (block,) * count


def staged(stem: Any, first: tuple[Any, Any, Any], begun: Iterable[Begun], head: Any) -> Network:
    """A network whose first stage (width, count, block) has no downsample; the others begin with theirs."""
    width, count, block = first
    stages = [Stage(width, times(count, block), None)]
    stages += [Stage(wide, times(number, each), begin) for wide, begin, number, each in begun]
    return Network(stem, tuple(stages), head)

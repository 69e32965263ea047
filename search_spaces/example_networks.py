"""Small networks for tests of one part: two widths of everything, the part in its place."""

from typing import Any

from search_spaces.holes import one_of
from search_spaces.site import Site

WIDTH = 24
"""Channels that stems and downsamples under test lead to."""


def staged(site: Site, **block: Any) -> Any:
    """A tree of networks of one stage, of the site's channels or twice as many, whose block holds the given parts."""
    return around(site, plain_block(site, **block))


def around(site: Site, block: Any = None, **network: Any) -> Any:
    """A tree of networks of one stage, of the site's channels or twice as many, of this block."""
    from search_spaces.blocks.stem.conv3x3 import Conv3x3Stem
    from search_spaces.blocks.stem.linear import LinearStem
    from search_spaces.topologies.network.network import Network
    from search_spaces.topologies.stage.stage import Stage

    stage = Stage(one_of(site.channels, 2 * site.channels), (block or plain_block(site),), None)
    stem = Conv3x3Stem(stride=1) if site.sides else LinearStem()
    return Network(**{"stem": stem, "stages": (stage,), **network})


def plain_block(site: Site, **block: Any) -> Any:
    """A block that pools the positions, where the site has any."""
    from search_spaces.blocks.block.block import Block

    return Block(**{"token_mixer": "pool" if site.sides else None, **block})

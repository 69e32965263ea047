"""Where a part is built: what it is given, and where in the network that is."""

from dataclasses import dataclass, replace

Shape = tuple[int, ...]
"""Channels first, then any number of sides: (channels,), (channels, length), (channels, height, width); no batch."""


@dataclass(frozen=True)
class Site:
    """The place that a part's `build` is given.

    `shape` is that of the input. `width` is what the part leads to where its family leaves that to the site: the
    channels after a stem or downsample, the outputs of a head or network. `index` is the number of the block, counted
    over the whole network from 0, that the part is or is inside of, `depth` how many blocks the network has; a block
    behind the last one, as a head, has `index == depth`. `condition` is the shape of a second input, which modules
    take as their second argument where there is one. `maps` are the shapes of all stages' maps where a neck or head
    takes them. `inputs` is the shape of the network's own inputs, whose sides a head for each position leads back to.
    """

    shape: Shape
    width: int | None = None
    index: int = 0
    depth: int = 1
    condition: Shape | None = None
    maps: tuple[Shape, ...] = ()
    inputs: Shape = ()

    @property
    def channels(self) -> int:
        """The input's channels."""
        return self.shape[0]

    @property
    def sides(self) -> Shape:
        """The input's sides, as (height, width)."""
        return self.shape[1:]

    @property
    def leads_to(self) -> int:
        """`width`, where there has to be one."""
        if self.width is None:
            raise ValueError("this part leads to a width, and its site says none; give Site(shape, width)")
        return self.width

    def at(self, shape: Shape, width: int | None = None) -> "Site":
        """The site of an inner part that is given another shape, at the same place of the network."""
        return replace(self, shape=tuple(shape), width=width)

    def wide(self, channels: int) -> "Site":
        """The site of an inner part that is given other channels."""
        return self.at((channels, *self.sides))

    def numbered(self, index: int) -> "Site":
        """The site of the block number `index`."""
        return replace(self, index=index)

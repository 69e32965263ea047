"""A staged network some of whose layers share the weights of earlier ones."""

from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, Placed, part, shared, slot
from search_spaces.site import Shape, Site


@part("network", "tied", source="Dynamic Layer Tying for Parameter-Efficient Transformers", sliced=True)
class Tied(Part):
    """A network of stages in which layers (blocks) are tied to earlier ones of their stage: both are one module.

    `ties[s][i]` is the place of the layer that layer i of stage s is tied to, i itself for a layer of its own. Layers
    behind the end of `ties[s]`, and stages behind that of `ties`, are their own; places that no layer has say nothing.
    A tie to a tied layer is one to the layer at the chain's start. Whatever training changes is shared, statistics of
    batch normalization included; so only layers that are the same architecture can be tied.
    """

    network: Any = slot("network")
    ties: Any = shared(default=())

    def validate(self) -> None:
        stages = getattr(self.network, "stages", None)
        if not isinstance(stages, tuple):
            name = getattr(self.network, "name", self.network)
            raise SpaceError(f"takes a network of stages, whose layers can be tied, not '{name}'", "tied.network")
        if not isinstance(self.ties, tuple) or not all(isinstance(row, tuple) for row in self.ties):
            raise SpaceError("takes a tuple for each stage, as ((0, 0), (0, 1, 0))", "tied.ties")
        for number, row in enumerate(self.ties):
            for place, to in enumerate(row):
                if not isinstance(to, int) or isinstance(to, bool) or not 0 <= to <= place:
                    raise SpaceError(
                        f"a layer can be tied to an earlier one of its stage or to itself, 0 to {place}, not {to!r}",
                        f"tied.ties.{number}.{place}",
                    )
        for number, (stage, row) in enumerate(zip(stages, self.roots, strict=True)):
            for place, root in enumerate(row):
                if stage.blocks[place] != stage.blocks[root]:
                    raise SpaceError(
                        f"layers {place} and {root} of stage {number} have weights of different shapes or uses, so "
                        "they can't be tied; make their blocks equal",
                        f"tied.ties.{number}.{place}",
                    )

    @property
    def roots(self) -> tuple[tuple[int, ...], ...]:
        """For each layer of each stage, the place of the layer whose weights it has."""
        found = []
        for number, stage in enumerate(self.network.stages):
            ties = self.ties[number] if number < len(self.ties) else ()
            row: list[int] = []
            for place in range(len(stage.blocks)):
                to = ties[place] if place < len(ties) else place
                row.append(place if to == place else row[to])
            found.append(tuple(row))
        return tuple(found)

    def canonical(self) -> Part:
        if all(row == tuple(range(len(row))) for row in self.roots):
            return self.network
        return self if self.ties == self.roots else Tied(self.network, self.roots)

    def takes_ids(self) -> bool:
        return self.network.takes_ids()

    def layers(self) -> int:
        return self.network.layers()

    def shape_after(self, site: Site) -> Shape:
        return self.network.shape_after(site)

    def parts_at(self, site: Site) -> list[Placed]:
        return [("network", self.network, site)]

    def build(self, site: Site) -> nn.Module:
        network = self.network.build(site)
        for stage, row in zip(network.stages, self.roots, strict=True):
            # What wires blocks other than one after another holds them as `blocks`.
            blocks = getattr(stage.blocks, "blocks", stage.blocks)
            for place, root in enumerate(row):
                blocks[place] = blocks[root]
        return network

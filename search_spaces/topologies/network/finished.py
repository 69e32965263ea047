"""A network that was worked on after its training, with the steps that made it."""

import json
from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, Placed, part, slot
from search_spaces.site import Shape, Site


@part(
    "network",
    "finished",
    source="Deep Compression: Compressing Deep Neural Networks with Pruning, Trained Quantization and Huffman Coding",
    sliced=True,
)
class Finished(Part):
    """A network as finishers left it: pruned, quantized …; what is built, counted and exported is the network alone.

    `steps` are the finishers that were applied, in order, each as the JSON text of its part, so that a study can be
    read where a user's own finisher isn't at hand. `of` is the digest of the trained candidate that they began with:
    the same network made of another one is another candidate.
    """

    network: Any = slot("network")
    steps: tuple[str, ...] = ()
    of: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in getattr(self.network, "options", (self.network,)):
            if isinstance(option, Finished) or option.without_recipe() is not option:
                raise SpaceError(f"takes a network alone, not '{option.name}'; add to its steps", "finished.network")

    def validate(self) -> None:
        if not self.steps or not all(isinstance(step, str) and _is_part(step) for step in self.steps):
            raise SpaceError("takes one finisher or more, each as the JSON text of a part", "finished.steps")
        if not isinstance(self.of, str):
            raise SpaceError("takes the digest of the candidate that was finished", "finished.of")

    def without_recipe(self) -> Part:
        return self.network

    def traits(self) -> dict[str, float]:
        return dict(self.network.traits())

    def takes_ids(self) -> bool:
        return self.network.takes_ids()

    def layers(self) -> int:
        return self.network.layers()

    def shape_after(self, site: Site) -> Shape:
        return self.network.shape_after(site)

    def parts_at(self, site: Site) -> list[Placed]:
        return [("network", self.network, site)]

    def build(self, site: Site) -> nn.Module:
        return self.network.build(site)


def _is_part(text: str) -> bool:
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return isinstance(value, dict) and "/" in str(value.get("part"))

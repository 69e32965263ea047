"""The chain: each block is given what the one before it gives."""

from collections.abc import Sequence

from torch import nn

from search_spaces.parts import part
from search_spaces.site import Site
from search_spaces.topologies.wired import Wiring


@part("wiring", "chain", source="Very Deep Convolutional Networks for Large-Scale Image Recognition", sliced=True)
class ChainWiring(Wiring):
    """One after another."""

    wires = ("block", "stage")

    def insertable(self) -> bool:
        return True

    def build(self, site: Site, modules: Sequence[nn.Module], sites: Sequence[Site]) -> nn.Module:
        return nn.Sequential(*modules)

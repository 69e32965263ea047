"""The sigmoid linear unit, or swish."""

from torch import nn

from search_spaces.parts import Part, part
from search_spaces.site import Site


@part(
    "activation",
    "silu",
    source="Sigmoid-Weighted Linear Units for Neural Network Function Approximation in Reinforcement Learning",
    sliced=True,
)
class SiLU(Part):
    """x sigmoid(x), also known as swish."""

    def build(self, site: Site) -> nn.Module:
        return nn.SiLU()

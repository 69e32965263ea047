"""A stem that embeds each column of a table by waves of learned frequencies."""

from math import pi
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from search_spaces.declarations import grows
from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part, size
from search_spaces.site import Shape, Site


class PeriodicFeatures(nn.Module):
    """Rows (batch, columns) to (batch, width): waves of each column, a layer for each column, one of them all."""

    def __init__(self, columns: int, width: int, frequencies: int, embedding: int, spread: float) -> None:
        super().__init__()
        # Columns come last, so that smaller configurations are the first slices.
        self.frequencies = nn.Parameter(spread * torch.randn(frequencies, columns))
        bound = (2 * frequencies) ** -0.5
        self.weight = nn.Parameter(torch.empty(embedding, frequencies, 2, columns).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(embedding, columns).uniform_(-bound, bound))
        self.linear = nn.Linear(embedding * columns, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        angles = 2 * pi * self.frequencies * x.unsqueeze(1)
        waves = torch.stack([angles.sin(), angles.cos()], 2)
        embedded = torch.einsum("bfwc,efwc->bec", waves, self.weight) + self.bias
        return self.linear(functional.relu(embedded).flatten(1))


@grows(PeriodicFeatures)
def _widened(growth: Any, old: PeriodicFeatures, new: PeriodicFeatures, path: str) -> None:
    for name in ("frequencies", "weight", "bias"):
        if getattr(old, name).shape != getattr(new, name).shape:
            raise SpaceError(f"how the '{name}' of periodic features grows isn't known")
        getattr(new, name).copy_(getattr(old, name))
    growth.grow(old.linear, new.linear, f"{path}.linear")


@part(
    "stem",
    "periodic_features",
    source="On Embeddings for Numerical Features in Tabular Deep Learning",
    sliced=True,
    sides=0,
)
class PeriodicFeaturesStem(Part):
    """The publication's PLR embeddings, then a linear layer of all of them.

    A column's number x becomes sines and cosines of 2 pi c_i x with learned frequencies c_i, as many as `frequencies`,
    which begin normally distributed with the deviation `spread`; a layer of the column's own and a ReLU make
    `embedding` numbers of them. So a network sees small differences of a number.
    """

    frequencies: int = size("width", default=16)
    embedding: int = size("width", default=8)
    spread: float = 0.1

    def validate(self) -> None:
        for field in ("frequencies", "embedding"):
            if getattr(self, field) < 1:
                raise SpaceError(f"must be 1 or more, not {getattr(self, field)}", f"periodic_features.{field}")
        if self.spread <= 0:
            raise SpaceError(f"must be above 0, not {self.spread}", "periodic_features.spread")

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to,)

    def build(self, site: Site) -> nn.Module:
        return PeriodicFeatures(site.channels, site.leads_to, self.frequencies, self.embedding, self.spread)

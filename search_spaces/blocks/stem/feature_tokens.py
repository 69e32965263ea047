"""A stem that makes a token of each column of a table."""

from typing import Any

import torch
from torch import nn

from search_spaces.declarations import grows
from search_spaces.parts import Part, part
from search_spaces.site import Shape, Site


class FeatureTokens(nn.Module):
    """W[:, j] x[j] + B[:, j] for each column j: rows (batch, columns) become (batch, width, columns)."""

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.weight = nn.Parameter(torch.empty(width, columns).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(width, columns).uniform_(-bound, bound))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x.unsqueeze(1) + self.bias


@grows(FeatureTokens)
def _wider(growth: Any, old: FeatureTokens, new: FeatureTokens, path: str) -> None:
    new.weight.copy_(growth.rows(old.weight, new.weight.shape[0]))
    new.bias.copy_(growth.rows(old.bias, new.bias.shape[0]))


@part(
    "stem",
    "feature_tokens",
    source="Revisiting Deep Learning Models for Tabular Data",
    sliced=True,
    sides=0,
)
class FeatureTokensStem(Part):
    """Each column's number times a vector of its own, plus another: a sequence of the columns, for attention.

    It is the feature tokenizer of the publication's FT-Transformer, which reads the result at an additional token;
    here heads average over the columns.
    """

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to, site.channels)

    def build(self, site: Site) -> nn.Module:
        return FeatureTokens(site.channels, site.leads_to)

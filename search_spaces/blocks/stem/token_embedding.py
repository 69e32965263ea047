"""A stem of token numbers."""

from typing import Any

import torch
from torch import nn

from search_spaces.declarations import transparent
from search_spaces.parts import Part, Placed, part, slot
from search_spaces.site import Shape, Site


@transparent
class EmbeddedTokens(nn.Module):
    """The vectors of tokens, int64 (batch, length), as a map (batch, width, length), positions added."""

    def __init__(self, vocabulary: int, width: int, positions: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        # As small as learned positions begin.
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.positions = positions

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.positions(self.embedding(tokens).transpose(1, 2))


@part("stem", "token_embedding", source="Attention Is All You Need", sliced=True, sides=1)
class TokenEmbeddingStem(Part):
    """A learned vector for each token of the vocabulary, and positions: learned, sinusoidal or none.

    At a site of (vocabulary, length) its module takes int64 (batch, length), each below `vocabulary`. It costs
    vocabulary times width weights, and no multiply-accumulates. The publication multiplies the vectors by the root of
    the width; here what follows normalizes.
    """

    positional_encoding: Any = slot("positional_encoding", default="absolute")

    def takes_ids(self) -> bool:
        return True

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to, *site.sides)

    def parts_at(self, site: Site) -> list[Placed]:
        return [("positional_encoding", self.positional_encoding, site.at(self.shape_after(site)))]

    def build(self, site: Site) -> nn.Module:
        encoding = self.positional_encoding
        positions = nn.Identity() if encoding is None else encoding.build(site.at(self.shape_after(site)))
        return EmbeddedTokens(site.channels, site.leads_to, positions)

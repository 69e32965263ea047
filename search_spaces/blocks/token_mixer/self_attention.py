"""Multi-head self-attention."""

from typing import Any

import torch
from timm.layers import Attention
from torch import nn

from search_spaces.declarations import grows, transparent, zeroed
from search_spaces.errors import SpaceError
from search_spaces.layers.attention_growth import QKV, grow_attention, zero_attention
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Site


@transparent
class GlobalAttention2d(nn.Module):
    """Multi-head self-attention over all positions of a map."""

    def __init__(self, channels: int, heads: int, positions: nn.Module) -> None:
        super().__init__()
        self.positions = positions
        self.attention = Attention(channels, heads, qkv_bias=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        tokens = self.positions(x).flatten(2).transpose(1, 2)
        return self.attention(tokens).transpose(1, 2).reshape(batch, channels, height, width)


grows(Attention)(grow_attention)
zeroed(GlobalAttention2d)(zero_attention)


@part("token_mixer", "self_attention", source="Attention Is All You Need", sliced=True, chunks=QKV, sides=2)
class SelfAttention(Part):
    """Every position attends to every other; `heads` must divide the channels."""

    heads: int = size("heads", default=4)
    positional_encoding: Any = slot("positional_encoding", default=None)

    def validate(self) -> None:
        if self.heads < 1:
            raise SpaceError(f"must be 1 or more, not {self.heads}", "self_attention.heads")

    def accepts(self, site: Site) -> str | None:
        fits = site.channels % self.heads == 0
        return None if fits else f"{site.channels} channels don't divide into {self.heads} heads"

    def parts_at(self, site: Site) -> list[Placed]:
        return [("positional_encoding", self.positional_encoding, site)]

    def build(self, site: Site) -> nn.Module:
        encoding = self.positional_encoding
        positions = nn.Identity() if encoding is None else encoding.build(site)
        return GlobalAttention2d(site.channels, self.heads, positions)

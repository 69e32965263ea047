"""Multi-head self-attention."""

from typing import Any

import torch
from timm.layers import Attention
from torch import nn

from search_spaces.declarations import grows, transparent, zeroed
from search_spaces.errors import SpaceError
from search_spaces.layers.attention_growth import QKV, grow_attention, zero_attention
from search_spaces.layers.depthwise import refused
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Site


@transparent
class GlobalAttention(nn.Module):
    """Multi-head self-attention over all positions of a map (batch, channels, *sides).

    `causal`, each position sees itself and those before it.
    """

    def __init__(self, channels: int, heads: int, positions: nn.Module, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.positions = positions
        self.attention = Attention(channels, heads, qkv_bias=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.positions(x).flatten(2).transpose(1, 2)
        return self.attention(tokens, is_causal=self.causal).transpose(1, 2).reshape(x.shape)


grows(Attention)(grow_attention)
zeroed(GlobalAttention)(zero_attention)


@part("token_mixer", "self_attention", source="Attention Is All You Need", sliced=True, chunks=QKV, sides=(1, 2))
class SelfAttention(Part):
    """Every position attends to every other; `heads` must divide the channels.

    `causal`, for sequences, it attends to itself and to those before it.
    """

    heads: int = size("heads", default=4)
    positional_encoding: Any = slot("positional_encoding", default=None)
    causal: bool = False

    def validate(self) -> None:
        if self.heads < 1:
            raise SpaceError(f"must be 1 or more, not {self.heads}", "self_attention.heads")

    def accepts(self, site: Site) -> str | None:
        if self.causal and not getattr(self.positional_encoding, "causal", True):
            name = self.positional_encoding.name
            return f"its positional encoding looks ahead; give '{name}' causal=True, too, or take another"
        if reason := refused(site, self.causal):
            return reason
        fits = site.channels % self.heads == 0
        return None if fits else f"{site.channels} channels don't divide into {self.heads} heads"

    def parts_at(self, site: Site) -> list[Placed]:
        return [("positional_encoding", self.positional_encoding, site)]

    def build(self, site: Site) -> nn.Module:
        encoding = self.positional_encoding
        positions = nn.Identity() if encoding is None else encoding.build(site)
        return GlobalAttention(site.channels, self.heads, positions, self.causal)

"""Multi-head self-attention."""

import torch
from torch.nn import functional

from search_spaces.blocks import AbsoluteEncoding, ConditionalEncoding, SelfAttention
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import rebuilt


class TestSelfAttention(PartConformance):
    cases = [
        (SelfAttention(), (16, 8, 8)),
        (SelfAttention(heads=2, positional_encoding=AbsoluteEncoding()), (16, 5, 7)),
        (SelfAttention(heads=2, positional_encoding="conditional"), (16, 9)),
        (SelfAttention(2, ConditionalEncoding(causal=True), causal=True), (16, 9)),
    ]
    refused = [
        (SelfAttention(heads=3), (16, 8, 8)),
        (SelfAttention(causal=True), (16, 8, 8)),
        (SelfAttention(positional_encoding="conditional", causal=True), (16, 9)),
    ]
    wrong = [(lambda: SelfAttention(heads=0), "self_attention.heads")]

    def reference(self, part, site, module, x):
        """softmax(q k / sqrt(size)) v of each head over all positions, after the positions are added."""
        layers = module.attention
        tokens = rebuilt(part.positional_encoding, site, module.positions)(x).flatten(2).transpose(1, 2)
        queries, keys, values = functional.linear(tokens, layers.qkv.weight, layers.qkv.bias).chunk(3, 2)
        size = site.channels // part.heads
        found = []
        for channels in torch.arange(site.channels).split(size):
            scores = queries[..., channels] @ keys[..., channels].transpose(1, 2) / size**0.5
            if part.causal:
                later = torch.ones_like(scores, dtype=torch.bool).triu(1)
                scores = scores.masked_fill(later, float("-inf"))
            found.append(scores.softmax(-1) @ values[..., channels])
        y = functional.linear(torch.cat(found, 2), layers.proj.weight, layers.proj.bias)
        return y.transpose(1, 2).reshape(x.shape)

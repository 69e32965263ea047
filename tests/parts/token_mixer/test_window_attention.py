"""Window attention."""

import torch
from torch.nn import functional

from search_spaces.blocks import ConditionalEncoding, WindowAttention
from search_spaces.site import Site
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import rebuilt


class TestWindowAttention(PartConformance):
    cases = [
        (WindowAttention(), (16, 8, 8)),
        (WindowAttention(heads=2, window=4, shift=True), (16, 8, 8)),
        (WindowAttention(heads=2, window=4, shift=True, positional_encoding=ConditionalEncoding(5)), (16, 5, 7)),
        (WindowAttention(heads=2, window=3), (8, 1, 1)),
    ]
    refused = [(WindowAttention(heads=3), (16, 8, 8))]
    wrong = [
        (lambda: WindowAttention(heads=0), "window_attention.heads"),
        (lambda: WindowAttention(window=1), "window_attention.window"),
    ]

    def reference(self, part, site, module, x):
        """Attention over the whole map, without windows: a score is there only for pairs that share a region."""
        layers = module.attention
        tokens = rebuilt(part.positional_encoding, site, module.positions)(x).flatten(2).transpose(1, 2)
        queries, keys, values = functional.linear(tokens, layers.qkv.weight, layers.qkv.bias).chunk(3, 2)
        windows = [min(part.window, side) for side in site.sides]
        places = torch.cartesian_prod(*(torch.arange(side) for side in site.sides))
        together = (regions(part, site, places)[:, None] == regions(part, site, places)).all(-1)
        # The bias of a head is by how far apart two positions are: from 1 - window to window - 1, down and across.
        down, across = (places[:, None] - places).unbind(-1)
        number = (down + windows[0] - 1) * (2 * windows[1] - 1) + across + windows[1] - 1
        bias = layers.relative_position_bias_table[number * together]
        size = site.channels // part.heads
        found = []
        for head, channels in enumerate(torch.arange(site.channels).split(size)):
            scores = queries[..., channels] @ keys[..., channels].transpose(1, 2) / size**0.5 + bias[..., head]
            found.append(scores.masked_fill(~together, -torch.inf).softmax(-1) @ values[..., channels])
        y = functional.linear(torch.cat(found, 2), layers.proj.weight, layers.proj.bias)
        return y.transpose(1, 2).reshape(x.shape)

    def test_never_sees_padding_nor_the_far_side(self):
        """What one window computes depends on the real positions of its own region alone."""
        module = WindowAttention(heads=2, window=4, shift=True).build(Site((8, 6, 6))).double().eval()
        x = torch.randn(1, 8, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
        # Rolled by 2, the 8x8 padded map has windows over rows 2-5, and 6-7 (padding) with 0-1 (wrapped around).
        module(x)[0, :, 0, 0].sum().backward()
        seen = x.grad[0].abs().sum(0) > 1e-12
        expected = torch.zeros(6, 6, dtype=torch.bool)
        expected[:2, :2] = True
        assert torch.equal(seen, expected)


def regions(part, site, places):
    """Which window each position lies in, per axis; shifted windows begin half a window further on."""
    found = []
    for axis, side in enumerate(site.sides):
        window = min(part.window, side)
        shift = window // 2 if part.shift and window < side else 0
        found.append(torch.div(places[:, axis] - shift, window, rounding_mode="floor"))
    return torch.stack(found, 1)

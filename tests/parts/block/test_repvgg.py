"""RepVGG's convolution."""

import torch

from search_spaces.blocks import BatchNorm, RepVGGBlock
from search_spaces.deployment import deployed
from search_spaces.testing import PartConformance, randomise
from tests.parts.rebuilding import behind, map_of
from tests.parts.rep_reference import branches


class TestRepVGGBlock(PartConformance):
    cases = [
        (RepVGGBlock(), (16, 8, 8)),
        (RepVGGBlock(5, "silu", "squeeze_excitation"), (16, 5, 7)),
        (RepVGGBlock(1, None), (16, 9)),
    ]
    wrong = [(lambda: RepVGGBlock(kernel=2), "repvgg.kernel")]

    def reference(self, part, site, module, x):
        """act(attention(norm(conv(x)) + norm(1x1(x)) + norm(x)))."""
        y = branches(module[0], x, part.kernel, 1) + behind(BatchNorm(), x, module[0].identity)
        rest = [inner for inner in (part.channel_attention, part.activation) if inner is not None]
        for inner, own in zip(rest, module[1:], strict=True):
            y = behind(inner, y, own)
        return y

    def test_deployed_it_is_one_convolution(self):
        """In float32 too, and to 1e-5 of what the branches give."""
        x = torch.randn(2, 8, 9, 9)
        module = randomise(RepVGGBlock().build(map_of(x)), 0).eval()
        one = deployed(module)
        convs = [layer for layer in one.modules() if isinstance(layer, torch.nn.Conv2d)]
        assert len(convs) == 1 and not [layer for layer in one.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
        torch.testing.assert_close(one(x), module(x), atol=1e-5, rtol=1e-5)

"""The block of two convolutions of ResNet."""

import pytest
import torch

from search_spaces.blocks import BasicBlock, GroupNorm
from search_spaces.edits.identity import make_identity
from search_spaces.errors import SpaceError
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import behind, behind_conv, map_of


class TestBasicBlock(PartConformance):
    cases = [
        (BasicBlock(), (16, 8, 8)),
        (BasicBlock(5, 0.5, "layer", "silu", "squeeze_excitation"), (16, 5, 7)),
        (BasicBlock(3, 1, None, "hard_swish"), (16, 9)),
    ]
    refused = [(BasicBlock(norm=GroupNorm(32)), (16, 8, 8)), (BasicBlock(), (16,))]
    wrong = [(lambda: BasicBlock(kernel=2), "basic.kernel"), (lambda: BasicBlock(expansion=0), "basic.expansion")]

    def reference(self, part, site, module, x):
        """act(x + attention(norm(conv(act(norm(conv(x)))))))."""
        y = behind_conv(x, module.branch.first, part.kernel, part.norm, part.activation)
        assert y.shape[1] == part.expansion * site.channels
        y = behind_conv(y, module.branch.last, part.kernel, part.norm)
        if part.channel_attention is not None:
            y = behind(part.channel_attention, y, module.branch.attention)
        return behind(part.activation, x + y)


def test_only_without_an_activation_it_begins_as_the_identity():
    x = torch.randn(2, 8, 5, 5)
    module = BasicBlock(activation=None).build(map_of(x)).eval()
    make_identity(module)
    assert torch.equal(module(x), x)
    with pytest.raises(SpaceError, match="what follows the sum"):
        make_identity(BasicBlock().build(map_of(x)))

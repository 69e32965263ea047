"""ConvNeXt's block."""

import torch
from timm.models.convnext import ConvNeXtBlock as TimmBlock

from search_spaces.blocks import ConvNeXtBlock
from search_spaces.edits.identity import make_identity
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import behind, convolved, map_of, per_channel


class TestConvNeXtBlock(PartConformance):
    cases = [
        (ConvNeXtBlock(), (16, 8, 8)),
        (ConvNeXtBlock(3, "batch", "glu", "add", "squeeze_excitation"), (16, 5, 7)),
        (ConvNeXtBlock(5, None), (16, 9)),
    ]
    wrong = [
        (lambda: ConvNeXtBlock(kernel=2), "convnext.kernel"),
        (lambda: ConvNeXtBlock(channel_mixer=None), "convnext.channel_mixer"),
        (lambda: ConvNeXtBlock(residual=None), "convnext.residual"),
    ]

    def reference(self, part, site, module, x):
        """x + scale * attention(mixer(norm(depthwise(x))))."""
        conv = module.branch.depthwise
        y = convolved(x, conv.weight, part.kernel // 2, groups=site.channels) + per_channel(conv.bias, x)
        for field in ("norm", "channel_mixer", "channel_attention"):
            if getattr(part, field) is not None:
                y = behind(getattr(part, field), y, getattr(module.branch, field))
        return x + y if part.residual.name == "add" else x + y * per_channel(module.residual.scale.gamma, y)

    def test_it_is_timms(self):
        theirs = TimmBlock(16, ls_init_value=0.1, conv_mlp=True).double()
        ours = ConvNeXtBlock().build(map_of(torch.empty(1, 16, 8, 8))).double()
        names = ["residual.scale.gamma", *[name for name in ours.state_dict() if "scale" not in name]]
        ours.load_state_dict(dict(zip(names, theirs.state_dict().values(), strict=True)))
        x = torch.randn(2, 16, 8, 8, dtype=torch.float64)
        torch.testing.assert_close(ours(x), theirs(x))

    def test_it_begins_as_the_identity(self):
        x = torch.randn(2, 8, 5, 5)
        module = ConvNeXtBlock().build(map_of(x))
        make_identity(module)
        assert torch.equal(module(x), x)

"""The block: two normalized residual branches, with every placement and residual written out."""

from torch import nn

from search_spaces.blocks import MLP, Block, GroupNorm
from search_spaces.site import Site
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import map_of, rebuilt

ODD = (16, 5, 7)


class TestBlock(PartConformance):
    cases = [
        (Block("self_attention", "glu", "rms", "peri", "layer_scale", "squeeze_excitation"), ODD),
        (Block("pool", "mlp", "batch", "post"), ODD),
        (Block("inverted_bottleneck", "mlp", "layer", "pre", "layer_scale"), ODD),
        (Block("depthwise_conv", norm=None, norm_placement="peri"), ODD),
        (Block("inverted_bottleneck", channel_mixer=None, norm=None), ODD),
        (Block(None, "glu", "rms", "post"), ODD),
        (Block("self_attention", "glu", "rms", "peri", "layer_scale", "squeeze_excitation"), (16, 9)),
        (Block("inverted_bottleneck", "mlp", "batch", "pre", "laurel"), (16, 9)),
        (Block(None, "mlp", "batch", "pre"), (16,)),
        (Block(None, "glu", "layer", "peri", "layer_scale"), (16,)),
    ]
    refused = [(Block("pool", norm=GroupNorm(group_size=5)), (16, 8, 8))]
    wrong = [
        (lambda: Block("pool", residual=None), "block.residual"),
        (lambda: Block(None, None), "block.token_mixer"),
        (lambda: Block(None, channel_attention="eca"), "block.channel_attention"),
        (lambda: Block("poool"), "Block.token_mixer"),
        (lambda: Block(MLP()), "Block.token_mixer"),
    ]

    def reference(self, part, site, module, x):
        mixers = [[part.token_mixer, part.channel_attention], [part.channel_mixer]]
        branches = [mixer for mixer in mixers if mixer[0] is not None]
        assert len(module) == len(branches)
        for inner, branch in zip(branches, module, strict=True):
            x = self.branch(part, inner, branch, x)
        return x

    def branch(self, part, inner, module, x):
        """One branch by the formula of its placement; `inner` are the parts between the normalizations, in a row."""

        def norm(at, y):
            return rebuilt(part.norm, map_of(y), at)(y)

        def mixed(at, y):
            parts = [one for one in inner if one is not None]
            for one, own in zip(parts, at if len(parts) > 1 else [at], strict=True):
                y = rebuilt(one, map_of(y), own)(y)
            return y

        def join(at, y):
            return rebuilt(part.residual, map_of(x), at)(x, y)

        placement = part.norm_placement.name
        if placement == "post":
            inside, after = module
            return norm(after, join(inside.residual, mixed(inside.branch, x)))
        if placement == "pre":
            before, at = module.branch
            return join(module.residual, mixed(at, norm(before, x)))
        before, at, after = module.branch
        return join(module.residual, norm(after, mixed(at, norm(before, x))))

    def test_each_branch_has_a_norm_of_its_own(self):
        for placement, count in {"pre": 2, "post": 2, "peri": 4}.items():
            module = Block("pool", "mlp", "batch", placement).build(Site(ODD))
            assert sum(isinstance(inner, nn.BatchNorm2d) for inner in module.modules()) == count

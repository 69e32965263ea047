"""GhostNet's bottleneck."""

from search_spaces.blocks import GhostBottleneckBlock
from search_spaces.testing import PartConformance
from tests.parts.ghost_reference import ghost
from tests.parts.rebuilding import behind


class TestGhostBottleneckBlock(PartConformance):
    cases = [
        (GhostBottleneckBlock(), (16, 8, 8)),
        (GhostBottleneckBlock(2.5, 5, "layer", "silu", "squeeze_excitation"), (16, 5, 7)),
        (GhostBottleneckBlock(norm=None), (15, 9)),
    ]
    wrong = [
        (lambda: GhostBottleneckBlock(expansion=0), "ghost_bottleneck.expansion"),
        (lambda: GhostBottleneckBlock(cheap_kernel=2), "ghost_bottleneck.cheap_kernel"),
    ]

    def reference(self, part, site, module, x):
        """x + ghost(attention(ghost(x))), the second one without an activation."""
        y = ghost(module.branch.expand, x, part, part.activation)
        assert y.shape[1] == part.expansion * site.channels or site.channels == 15
        if part.channel_attention is not None:
            y = behind(part.channel_attention, y, module.branch.attention)
        y = ghost(module.branch.reduce, y, part, None)[:, : site.channels]
        return x + y

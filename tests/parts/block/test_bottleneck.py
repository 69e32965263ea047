"""The bottleneck block of ResNet."""

from search_spaces.blocks import BottleneckBlock
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import behind, behind_conv


class TestBottleneckBlock(PartConformance):
    cases = [
        (BottleneckBlock(), (16, 8, 8)),
        (BottleneckBlock(5, 0.5, "layer", "silu", "squeeze_excitation"), (16, 5, 7)),
        (BottleneckBlock(3, 1, None), (16, 9)),
    ]
    wrong = [
        (lambda: BottleneckBlock(kernel=4), "bottleneck.kernel"),
        (lambda: BottleneckBlock(expansion=-1), "bottleneck.expansion"),
    ]

    def reference(self, part, site, module, x):
        """act(x + attention(norm(1x1(act(norm(conv(act(norm(1x1(x)))))))))), narrow inside."""
        y = behind_conv(x, module.branch.first, 1, part.norm, part.activation)
        assert y.shape[1] == part.expansion * site.channels
        y = behind_conv(y, module.branch.middle, part.kernel, part.norm, part.activation)
        y = behind_conv(y, module.branch.last, 1, part.norm)
        if part.channel_attention is not None:
            y = behind(part.channel_attention, y, module.branch.attention)
        return behind(part.activation, x + y)

"""GhostNet's bottleneck where a stage begins."""

from search_spaces.blocks import GhostBottleneckDownsample
from search_spaces.testing import PartConformance
from tests.parts.ghost_reference import ghost
from tests.parts.rebuilding import behind, behind_conv


class TestGhostBottleneckDownsample(PartConformance):
    cases = [
        (GhostBottleneckDownsample(), (16, 8, 8)),
        (GhostBottleneckDownsample(5, 2.5, 5, "layer", "silu", "squeeze_excitation"), (16, 5, 7)),
        (GhostBottleneckDownsample(stride=1, norm=None), (16, 9)),
    ]
    wrong = [
        (lambda: GhostBottleneckDownsample(expansion=0), "ghost_bottleneck.expansion"),
        (lambda: GhostBottleneckDownsample(cheap_kernel=2), "ghost_bottleneck.cheap_kernel"),
        (lambda: GhostBottleneckDownsample(kernel=2), "ghost_bottleneck.kernel"),
        (lambda: GhostBottleneckDownsample(stride=3), "ghost_bottleneck.stride"),
    ]

    def reference(self, part, site, module, x):
        """Two ghost modules with what is between, beside a depthwise convolution and 1x1."""
        y = ghost(module.branch.expand, x, part, part.activation)
        assert y.shape[1] == part.expansion * site.channels or site.channels == 15
        if part.stride > 1:
            y = behind_conv(y, module.branch.strided, part.kernel, part.norm, stride=part.stride, groups=y.shape[1])
        if part.channel_attention is not None:
            y = behind(part.channel_attention, y, module.branch.attention)
        y = ghost(module.branch.reduce, y, part, None)[:, : site.width]
        first = behind_conv(
            x, module.shortcut.depthwise, part.kernel, part.norm, stride=part.stride, groups=site.channels
        )
        return behind_conv(first, module.shortcut.pointwise, 1, part.norm) + y

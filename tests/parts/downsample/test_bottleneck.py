"""The bottleneck block of ResNet where a stage begins."""

import torch

from search_spaces.blocks import BottleneckDownsample
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import behind, behind_conv


class TestBottleneckDownsample(PartConformance):
    cases = [
        (BottleneckDownsample(), (16, 8, 8)),
        (BottleneckDownsample(5, 0.5, "layer", "silu", "squeeze_excitation", 2, "pool"), (16, 5, 7)),
        (BottleneckDownsample(norm=None, stride=1, shortcut="pool"), (16, 9)),
        (BottleneckDownsample(activation="gelu", shortcut="pool"), (16, 8)),
    ]
    wrong = [
        (lambda: BottleneckDownsample(kernel=4), "bottleneck.kernel"),
        (lambda: BottleneckDownsample(expansion=0), "bottleneck.expansion"),
        (lambda: BottleneckDownsample(stride=3), "bottleneck.stride"),
        (lambda: BottleneckDownsample(shortcut="none"), "bottleneck.shortcut"),
    ]

    def reference(self, part, site, module, x):
        """The block with a stride, beside 1x1 of every other position, or of the averages of two (by two)."""
        y = behind_conv(x, module.branch.first, 1, part.norm, part.activation)
        assert y.shape[1] == part.expansion * site.width
        y = behind_conv(y, module.branch.middle, part.kernel, part.norm, part.activation, stride=part.stride)
        y = behind_conv(y, module.branch.last, 1, part.norm)
        if part.channel_attention is not None:
            y = behind(part.channel_attention, y, module.branch.attention)
        squares, stride = x, part.stride
        if part.shortcut == "pool" and stride == 2:
            squares, stride = averaged(x), 1
        shortcut = behind_conv(squares, module.shortcut.conv, 1, part.norm, stride=stride)
        return behind(part.activation, shortcut + y)


def averaged(x: torch.Tensor) -> torch.Tensor:
    """The means of two positions along each side, the last one alone where they are odd."""
    for side in range(2, x.dim()):
        pairs = [torch.stack(pair.unbind(side)).mean(0) for pair in x.split(2, side)]
        x = torch.stack(pairs, side)
    return x

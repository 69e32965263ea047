"""The block of two convolutions of ResNet where a stage begins."""

import torch

from search_spaces.blocks import BasicDownsample
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import behind, behind_conv


class TestBasicDownsample(PartConformance):
    cases = [
        (BasicDownsample(), (16, 8, 8)),
        (BasicDownsample(5, 0.5, "layer", "silu", "squeeze_excitation", 2, "pool"), (16, 5, 7)),
        (BasicDownsample(norm=None, stride=1, shortcut="pool"), (16, 9)),
        (BasicDownsample(shortcut="pool"), (16, 8)),
    ]
    wrong = [
        (lambda: BasicDownsample(kernel=4), "basic.kernel"),
        (lambda: BasicDownsample(expansion=0), "basic.expansion"),
        (lambda: BasicDownsample(stride=3), "basic.stride"),
        (lambda: BasicDownsample(shortcut="none"), "basic.shortcut"),
    ]

    def reference(self, part, site, module, x):
        """The block with a stride, beside 1x1 of every other position, or of the averages of two (by two)."""
        y = behind_conv(x, module.branch.first, part.kernel, part.norm, part.activation, stride=part.stride)
        y = behind_conv(y, module.branch.last, part.kernel, part.norm)
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

"""RepVGG's convolution where a stage begins."""

from search_spaces.blocks import RepVGGDownsample
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import behind
from tests.parts.rep_reference import branches


class TestRepVGGDownsample(PartConformance):
    cases = [
        (RepVGGDownsample(), (16, 8, 8)),
        (RepVGGDownsample(5, "silu", "squeeze_excitation"), (16, 5, 7)),
        (RepVGGDownsample(stride=1, activation=None), (24, 9)),
    ]
    wrong = [
        (lambda: RepVGGDownsample(kernel=2), "repvgg.kernel"),
        (lambda: RepVGGDownsample(stride=3), "repvgg.stride"),
    ]

    def reference(self, part, site, module, x):
        """act(attention(norm(conv(x)) + norm(1x1(x)))); the input itself is never added."""
        y = branches(module[0], x, part.kernel, part.stride)
        rest = [inner for inner in (part.channel_attention, part.activation) if inner is not None]
        for inner, own in zip(rest, module[1:], strict=True):
            y = behind(inner, y, own)
        return y

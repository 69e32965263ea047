"""RepVGG's convolution as a stem."""

from search_spaces.blocks import RepVGGStem
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import behind
from tests.parts.rep_reference import branches


class TestRepVGGStem(PartConformance):
    cases = [
        (RepVGGStem(), (3, 8, 8)),
        (RepVGGStem(5, "silu", "squeeze_excitation"), (16, 5, 7)),
        (RepVGGStem(stride=1, activation=None), (24, 9)),
    ]
    wrong = [(lambda: RepVGGStem(kernel=2), "repvgg.kernel"), (lambda: RepVGGStem(stride=3), "repvgg.stride")]

    def reference(self, part, site, module, x):
        """act(attention(norm(conv(x)) + norm(1x1(x)))); the input itself is never added."""
        y = branches(module[0], x, part.kernel, part.stride)
        rest = [inner for inner in (part.channel_attention, part.activation) if inner is not None]
        for inner, own in zip(rest, module[1:], strict=True):
            y = behind(inner, y, own)
        return y

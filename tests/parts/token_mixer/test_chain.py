"""A chain of token mixers."""

from search_spaces.blocks import Chain, DepthwiseConv, Paths, SelfAttention
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import rebuilt


class TestChain(PartConformance):
    cases = [
        (Chain(), (16, 8, 8)),
        (Chain((DepthwiseConv(3), Paths(("pool", Chain())), "inverted_bottleneck")), (16, 5, 7)),
    ]
    refused = [(Chain(("pool", SelfAttention(heads=3))), (16, 8, 8))]
    wrong = [(lambda: Chain(("pool",)), "chain.children")]

    def reference(self, part, site, module, x):
        """Each is given what the one before gives."""
        for child, own in zip(part.children, module, strict=True):
            x = rebuilt(child, site, own)(x)
        return x

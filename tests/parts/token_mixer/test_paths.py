"""Parallel paths."""

import torch

from search_spaces.blocks import DepthwiseConv, InvertedBottleneck, Paths, Pooling, SelfAttention
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import map_of, rebuilt


class TestPaths(PartConformance):
    cases = [
        (Paths(), (16, 8, 8)),
        (Paths((DepthwiseConv(3), Pooling(), InvertedBottleneck(expansion=2))), (16, 5, 7)),
        (Paths((DepthwiseConv(3), Paths(("self_attention", "depthwise_conv"))), "split"), (16, 5, 7)),
    ]
    refused = [
        (Paths(("pool", "pool", "pool"), "split"), (16, 8, 8)),
        (Paths(("pool", SelfAttention(heads=16)), "split"), (16, 8, 8)),
    ]
    wrong = [
        (lambda: Paths(("pool",)), "paths.children"),
        (lambda: Paths(("pool", None)), "paths.children"),
        (lambda: Paths(("pool", "pool"), "add"), "paths.allocation"),
    ]

    def reference(self, part, site, module, x):
        """The mean of what all paths make of the whole map, or what each makes of its share of the channels."""
        count = len(part.children)
        share = site.channels // count
        found = []
        for place, (child, own) in enumerate(zip(part.children, module.branches, strict=True)):
            seen = x[:, place * share : (place + 1) * share] if part.allocation == "split" else x
            found.append(rebuilt(child, map_of(seen), own)(seen))
        return torch.cat(found, 1) if part.allocation == "split" else torch.stack(found).mean(0)

"""Global average pooling and a linear layer."""

from search_spaces.blocks import AveragePoolHead
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import map_of, rebuilt


class TestAveragePoolHead(PartConformance):
    cases = [
        (AveragePoolHead(), (16, 8, 8)),
        (AveragePoolHead(norm=None), (16, 5, 7)),
        (AveragePoolHead(norm="rms"), (16, 5, 7)),
        (AveragePoolHead(), (16, 9)),
        (AveragePoolHead(), (16,)),
        (AveragePoolHead(norm=None), (16,)),
        (AveragePoolHead("layer", pooled_first=True), (16, 5, 7)),
        (AveragePoolHead("rms", pooled_first=True), (16, 9)),
    ]
    refused = [(AveragePoolHead(pooled_first=True), (16, 8, 8))]

    def reference(self, part, site, module, x):
        """The normalization (of which those that aren't linear must come before the mean), the mean, the layer."""
        linear = module[-1]
        if part.pooled_first:
            mean = x.flatten(2).mean(2)[(..., *[None] * len(site.sides))]
            return rebuilt(part.norm, map_of(mean), module[1])(mean).flatten(1) @ linear.weight.T + linear.bias
        if part.norm is not None:
            x = rebuilt(part.norm, map_of(x), module[0])(x)
        return x.unsqueeze(-1).flatten(2).mean(2) @ linear.weight.T + linear.bias

"""A stem of patches."""

from search_spaces.blocks import PatchifyStem
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import convolved, map_of, per_channel, rebuilt


class TestPatchifyStem(PartConformance):
    cases = [
        (PatchifyStem(), (16, 8, 8)),
        (PatchifyStem(patch=2, norm=None), (16, 5, 7)),
        (PatchifyStem(patch=2), (3, 5, 7)),
        (PatchifyStem(patch=2), (3, 9)),
        (PatchifyStem(2, "layer", "conditional", bias=True), (3, 8, 8)),
        (PatchifyStem(2, None, "absolute"), (3, 8, 8)),
    ]
    refused = [(PatchifyStem(patch=16), (3, 8, 8)), (PatchifyStem(patch=16), (3, 8))]
    wrong = [(lambda: PatchifyStem(patch=0), "patchify.patch")]

    def reference(self, part, site, module, x):
        """The pixels of each patch in a row, through one linear layer; what no whole patch covers is left out."""
        linear, *norms = module if part.positional_encoding is None else module[:-1]
        y = convolved(x, linear.weight, 0, stride=part.patch)
        y = y if linear.bias is None else y + per_channel(linear.bias, y)
        for norm in norms:
            y = rebuilt(part.norm, map_of(y), norm)(y)
        assert bool(norms) == (part.norm is not None) and (linear.bias is None) == (bool(norms) and not part.bias)
        return y if part.positional_encoding is None else rebuilt(part.positional_encoding, map_of(y), module[-1])(y)

"""A stem of patches."""

from torch.nn import functional

from search_spaces.blocks import PatchifyStem
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import map_of, rebuilt


class TestPatchifyStem(PartConformance):
    cases = [
        (PatchifyStem(), (16, 8, 8)),
        (PatchifyStem(patch=2, norm=None), (16, 5, 7)),
        (PatchifyStem(patch=2), (3, 5, 7)),
    ]
    refused = [(PatchifyStem(patch=16), (3, 8, 8))]
    wrong = [(lambda: PatchifyStem(patch=0), "patchify.patch")]

    def reference(self, part, site, module, x):
        """The pixels of each patch in a row, through one linear layer; what no whole patch covers is left out."""
        linear, *norms = module
        rows, columns = (side // part.patch for side in site.sides)
        whole = x[:, :, : rows * part.patch, : columns * part.patch]
        patches = whole.unflatten(2, (rows, part.patch)).unflatten(4, (columns, part.patch))
        patches = patches.permute(0, 2, 4, 1, 3, 5).flatten(3)
        y = functional.linear(patches, linear.weight.flatten(1), linear.bias).permute(0, 3, 1, 2)
        for norm in norms:
            y = rebuilt(part.norm, map_of(y), norm)(y)
        assert bool(norms) == (part.norm is not None) == (linear.bias is None)
        return y

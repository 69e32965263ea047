"""A stem of overlapping patches of spectrograms."""

import torch

from search_spaces.blocks import SpectrogramPatchesStem
from search_spaces.site import Site
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import map_of, rebuilt


class TestSpectrogramPatchesStem(PartConformance):
    cases = [
        (SpectrogramPatchesStem(), (1, 32, 40)),
        (SpectrogramPatchesStem(4, 2, 1, None), (1, 9, 7)),
        (SpectrogramPatchesStem(2, 5, 0, "batch"), (1, 8, 12)),
    ]
    refused = [(SpectrogramPatchesStem(), (1, 32, 15)), (SpectrogramPatchesStem(), (32, 40))]
    wrong = [
        (lambda: SpectrogramPatchesStem(bands=0), "spectrogram_patches.bands"),
        (lambda: SpectrogramPatchesStem(frames=0), "spectrogram_patches.frames"),
        (lambda: SpectrogramPatchesStem(4, 2, 2), "spectrogram_patches.overlap"),
    ]

    def reference(self, part, site, module, x):
        """Patch by patch: the matrix times all of its values."""
        linear, *norms = module
        _, high, wide = site.shape
        rows = [
            [
                x[:, :, row : row + part.bands, column : column + part.frames].flatten(1) @ linear.weight.flatten(1).T
                for column in range(0, wide - part.frames + 1, part.frames - part.overlap)
            ]
            for row in range(0, high - part.bands + 1, part.bands - part.overlap)
        ]
        y = torch.stack([torch.stack(row, 2) for row in rows], 2)
        if not norms:
            return y + linear.bias[:, None, None]
        return rebuilt(part.norm, map_of(y), norms[0])(y)

    def test_the_publications_patches_of_ten_seconds(self):
        """128 bands and 1024 frames give the 12 x 101 patches that the publication has."""
        assert SpectrogramPatchesStem().shape_after(Site((1, 128, 1024), 768)) == (768, 12, 101)

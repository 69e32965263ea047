"""Dual PatchNorm normalizes the pixels of each patch, and the embedding."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from search_spaces.blocks import DualPatchNormStem
from search_spaces.site import Site
from search_spaces.testing import PartConformance


class TestDualPatchNormStem(PartConformance):
    cases = [(DualPatchNormStem(), (3, 16, 16)), (DualPatchNormStem(patch=2), (3, 9, 7))]
    refused = [(DualPatchNormStem(patch=16), (3, 8, 8))]

    def reference(self, part: Any, site: Site, module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """Patch by patch, as vectors."""
        size, (_, rows, columns) = part.patch, part.shape_after(site)
        given = dict(module.named_parameters())
        found = x.new_zeros(len(x), site.leads_to, rows, columns)
        for row in range(rows):
            for column in range(columns):
                patch = x[:, :, row * size : (row + 1) * size, column * size : (column + 1) * size].flatten(1)
                patch = functional.layer_norm(
                    patch, patch.shape[1:], given["before.weight"], given["before.bias"], 1e-6
                )
                embedded = patch @ given["embedding.weight"].flatten(1).T + given["embedding.bias"]
                found[:, :, row, column] = functional.layer_norm(
                    embedded, embedded.shape[1:], given["behind.weight"], given["behind.bias"], 1e-6
                )
        return found

    def test_is_indifferent_to_the_contrast_of_a_patch(self) -> None:
        """What a stem of patches without the first norm isn't."""
        module = DualPatchNormStem(patch=4).build(Site((3, 4, 4), 8)).eval()
        x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
        assert torch.allclose(module(x), module(5 * x + 2), atol=1e-4)

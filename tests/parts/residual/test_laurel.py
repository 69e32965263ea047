"""LAuReL weighs the branch and the shortcut, and adds a low-rank map to the latter."""

from typing import Any

import torch
from torch import nn

from search_spaces.blocks import LAuReL
from search_spaces.site import Site
from search_spaces.testing import PartConformance


class TestLAuReL(PartConformance):
    cases = [(LAuReL(), (16, 8, 8)), (LAuReL(rank=3), (16, 5, 7)), (LAuReL(3), (16, 9)), (LAuReL(3), (16,))]

    def reference(self, part: Any, site: Site, module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """Position by position, with the product of both matrices; the suite's branch is x mirrored."""
        weights, down, up = (parameter for parameter in module.parameters())
        matrix = up.flatten(1) @ down.flatten(1)
        assert torch.linalg.matrix_rank(matrix) == part.rank < site.channels
        shortcut = x + torch.einsum("oi,ni...->no...", matrix, x)
        return weights[0] * x.flip(-1) + weights[1] * shortcut


def test_it_begins_as_the_plain_sum() -> None:
    module = LAuReL().build(Site((8, 3, 3)))
    x, branch = torch.randn(2, 2, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(module(x, branch), branch + x)

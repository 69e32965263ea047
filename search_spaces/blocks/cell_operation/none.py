"""The edge of a cell that there is not."""

import torch
from torch import nn

from search_spaces.parts import Part, part
from search_spaces.site import Site


class Zero(nn.Module):
    """Zeros of the input's shape."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mul(0.0)


@part(
    "cell_operation",
    "none",
    source="NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search",
    sliced=True,
    sides=2,
)
class ZeroOperation(Part):
    """No connection."""

    def build(self, site: Site) -> nn.Module:
        return Zero()

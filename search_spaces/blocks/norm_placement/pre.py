"""Normalization before a residual branch."""

from collections.abc import Callable

from torch import nn

from search_spaces.layers.residual_branch import ResidualBranch
from search_spaces.parts import Part, part
from search_spaces.site import Site


@part("norm_placement", "pre", source="On Layer Normalization in the Transformer Architecture", sliced=True)
class PreNorm(Part):
    """x + f(norm(x))."""

    def build(self, site: Site, inner: nn.Module, make_norm: Callable[[], nn.Module], residual: nn.Module) -> nn.Module:
        return ResidualBranch(nn.Sequential(make_norm(), inner), residual)

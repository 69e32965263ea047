"""Normalization behind the sum."""

from collections.abc import Callable

from torch import nn

from search_spaces.layers.residual_branch import ResidualBranch
from search_spaces.parts import Part, part
from search_spaces.site import Site


@part("norm_placement", "post", source="Attention Is All You Need", sliced=True)
class PostNorm(Part):
    """norm(x + f(x))."""

    def build(self, site: Site, inner: nn.Module, make_norm: Callable[[], nn.Module], residual: nn.Module) -> nn.Module:
        return nn.Sequential(ResidualBranch(inner, residual), make_norm())

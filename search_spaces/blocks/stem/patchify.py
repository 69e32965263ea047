"""A stem of patches."""

from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.by_sides import convolution
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Shape, Site


@part(
    "stem",
    "patchify",
    source="An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
    sliced=True,
    sides=(1, 2),
)
class PatchifyStem(Part):
    """A linear layer on patches of `patch` x `patch` pixels that don't overlap, and a normalization.

    Of sequences, on `patch` positions in a row. A positional encoding, if there is one, comes last. The
    layer has a `bias` in any case where nothing normalizes.
    """

    patch: int = size("stride", default=4, shared=False)
    norm: Any = slot("norm", default="layer")
    positional_encoding: Any = slot("positional_encoding", default=None)
    bias: bool = False

    def validate(self) -> None:
        if self.patch < 1:
            raise SpaceError(f"must be 1 or more, not {self.patch}", "patchify.patch")

    def accepts(self, site: Site) -> str | None:
        if min(site.sides) >= self.patch:
            return None
        pixels = "x".join(map(str, site.sides))
        patch = "x".join([str(self.patch)] * len(site.sides))
        return f"patches of {patch} don't fit into {pixels} pixels; make patch smaller"

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to, *(side // self.patch for side in site.sides))

    def parts_at(self, site: Site) -> list[Placed]:
        after = site.at(self.shape_after(site))
        return [("norm", self.norm, after), ("positional_encoding", self.positional_encoding, after)]

    def build(self, site: Site) -> nn.Module:
        sides, bias, after = len(site.sides), self.bias or self.norm is None, site.at(self.shape_after(site))
        conv = convolution(sides, site.channels, site.leads_to, self.patch, self.patch, bias=bias)
        rest = [inner.build(after) for inner in (self.norm, self.positional_encoding) if inner is not None]
        return nn.Sequential(conv, *rest)

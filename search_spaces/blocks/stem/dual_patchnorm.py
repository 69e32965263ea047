"""A stem of patches that are normalized before and behind their embedding."""

import torch
from timm.layers import LayerNorm2d
from torch import nn
from torch.nn import functional

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part, size
from search_spaces.site import Shape, Site


class PatchNormedEmbedding(nn.Module):
    """Layer normalization of each patch's pixels, a linear layer, layer normalization of what it gives."""

    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.before = LayerNorm2d(channels * patch**2)
        self.embedding = nn.Conv2d(channels * patch**2, width, 1)
        self.behind = LayerNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = (side // self.patch * self.patch for side in x.shape[2:])
        pixels = functional.pixel_unshuffle(x[:, :, :height, :width], self.patch)
        return self.behind(self.embedding(self.before(pixels)))


@part("stem", "dual_patchnorm", source="Dual PatchNorm", sliced=True, sides=2)
class DualPatchNormStem(Part):
    """Patches of `patch` x `patch` pixels that don't overlap: norm, linear layer, norm."""

    patch: int = size("stride", default=4, shared=False)

    def validate(self) -> None:
        if self.patch < 1:
            raise SpaceError(f"must be 1 or more, not {self.patch}", "dual_patchnorm.patch")

    def accepts(self, site: Site) -> str | None:
        if min(site.sides) >= self.patch:
            return None
        pixels = "x".join(map(str, site.sides))
        return f"patches of {self.patch}x{self.patch} don't fit into {pixels} pixels; make patch smaller"

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to, *(side // self.patch for side in site.sides))

    def build(self, site: Site) -> nn.Module:
        return PatchNormedEmbedding(site.channels, site.leads_to, self.patch)

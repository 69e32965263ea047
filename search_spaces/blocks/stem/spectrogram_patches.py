"""A stem of overlapping patches of spectrograms."""

from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Shape, Site


@part("stem", "spectrogram_patches", source="AST: Audio Spectrogram Transformer", sliced=True, sides=2)
class SpectrogramPatchesStem(Part):
    """A linear layer on patches of `bands` x `frames`, which `overlap` by so many on each side, and a normalization.

    The publication has patches of 16x16 that overlap by 6. What no whole patch covers is left out.
    """

    bands: int = size("stride", default=16, shared=False)
    frames: int = size("stride", default=16, shared=False)
    overlap: int = 6
    norm: Any = slot("norm", default="layer")

    def validate(self) -> None:
        for field in ("bands", "frames"):
            if getattr(self, field) < 1:
                raise SpaceError(f"must be 1 or more, not {getattr(self, field)}", f"spectrogram_patches.{field}")
        if not 0 <= self.overlap < min(self.bands, self.frames):
            raise SpaceError(
                f"must be 0 or more and below both sides of a patch, not {self.overlap}", "spectrogram_patches.overlap"
            )

    @property
    def patch(self) -> tuple[int, int]:
        """A patch's sides."""
        return self.bands, self.frames

    def accepts(self, site: Site) -> str | None:
        if all(side >= size for side, size in zip(site.sides, self.patch, strict=True)):
            return None
        bands, frames = site.sides
        return (
            f"patches of {self.bands} bands x {self.frames} frames don't fit into {bands} x {frames}; make them smaller"
        )

    def shape_after(self, site: Site) -> Shape:
        return (
            site.leads_to,
            *((side - size) // (size - self.overlap) + 1 for side, size in zip(site.sides, self.patch, strict=True)),
        )

    def parts_at(self, site: Site) -> list[Placed]:
        return [("norm", self.norm, site.at(self.shape_after(site)))]

    def build(self, site: Site) -> nn.Module:
        steps = (self.bands - self.overlap, self.frames - self.overlap)
        conv = nn.Conv2d(site.channels, site.leads_to, self.patch, steps, bias=self.norm is None)
        return nn.Sequential(conv, *([] if self.norm is None else [self.norm.build(site.at(self.shape_after(site)))]))

"""Squeeze and excitation."""

from timm.layers import SqueezeExcite
from torch import nn

from search_spaces.declarations import keeps_zeros, transparent
from search_spaces.errors import SpaceError
from search_spaces.layers.as_picture import AsPicture
from search_spaces.parts import Part, part, size
from search_spaces.site import Site

transparent(SqueezeExcite)
keeps_zeros(SqueezeExcite)


@part("channel_attention", "squeeze_excitation", source="Squeeze-and-Excitation Networks", sliced=True, sides=(1, 2))
class SqueezeExcitation(Part):
    """Average pool, two 1x1 layers with `channels / reduction` between (a multiple of 8), sigmoid, multiply."""

    reduction: int = size("reduction", default=4)

    def validate(self) -> None:
        if self.reduction < 1:
            raise SpaceError(f"must be 1 or more, not {self.reduction}", "squeeze_excitation.reduction")

    def build(self, site: Site) -> nn.Module:
        attention = SqueezeExcite(site.channels, rd_ratio=1 / self.reduction)
        return attention if len(site.sides) == 2 else AsPicture(attention)

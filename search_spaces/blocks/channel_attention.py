"""Channel attention: `build(channels)` gives a module that reweights the channels of a map."""

from timm.layers import SqueezeExcite
from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part


@part("channel_attention", "squeeze_excitation", source="Squeeze-and-Excitation Networks")
class SqueezeExcitation(Part):
    """Average pool, two 1x1 layers with `channels / reduction` between (a multiple of 8), sigmoid, multiply."""

    reduction: int = 4

    def validate(self) -> None:
        if self.reduction < 1:
            raise SpaceError(f"must be 1 or more, not {self.reduction}", "squeeze_excitation.reduction")

    def build(self, channels: int) -> nn.Module:
        return SqueezeExcite(channels, rd_ratio=1 / self.reduction)

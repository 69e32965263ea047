"""Squeeze and excitation."""

from timm.layers import SqueezeExcite, make_divisible
from torch import nn

from search_spaces.declarations import keeps_zeros, transparent
from search_spaces.errors import SpaceError
from search_spaces.layers.as_picture import AsPicture
from search_spaces.parts import Part, part, shared, size
from search_spaces.site import Site

transparent(SqueezeExcite)
keeps_zeros(SqueezeExcite)

GATES = ("sigmoid", "hard_sigmoid")
"""What makes factors of the two layers' outputs."""


@part("channel_attention", "squeeze_excitation", source="Squeeze-and-Excitation Networks", sliced=True, sides=(1, 2))
class SqueezeExcitation(Part):
    """Average pool, two 1x1 layers with `channels / reduction` between, sigmoid, multiply.

    Between are a multiple of `divisor`, the nearest to it unless that is less than `round_limit` of it. The `gate`
    "hard_sigmoid", min(max(x + 3, 0), 6) / 6, is that of "Searching for MobileNetV3".
    """

    reduction: int = size("reduction", default=4)
    gate: str = shared(default="sigmoid")
    divisor: int = shared(default=8)
    round_limit: float = shared(default=0.0)

    def validate(self) -> None:
        if self.reduction < 1:
            raise SpaceError(f"must be 1 or more, not {self.reduction}", "squeeze_excitation.reduction")
        if self.gate not in GATES:
            raise SpaceError(f"must be {' or '.join(GATES)}, not {self.gate!r}", "squeeze_excitation.gate")
        if self.divisor < 1:
            raise SpaceError(f"must be 1 or more, not {self.divisor}", "squeeze_excitation.divisor")
        if not 0 <= self.round_limit <= 1:
            raise SpaceError(f"must be from 0 to 1, not {self.round_limit}", "squeeze_excitation.round_limit")

    def build(self, site: Site) -> nn.Module:
        between = make_divisible(site.channels / self.reduction, self.divisor, round_limit=self.round_limit)
        attention = SqueezeExcite(site.channels, rd_channels=between, gate_layer=self.gate)
        return attention if len(site.sides) == 2 else AsPicture(attention)

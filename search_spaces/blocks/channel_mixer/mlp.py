"""The multilayer perceptron of transformers."""

from functools import partial
from typing import Any

from timm.layers import Mlp
from torch import nn

from search_spaces.declarations import transparent, zeroed
from search_spaces.errors import SpaceError
from search_spaces.layers.by_sides import convs_of
from search_spaces.parts import Part, part, size, slot
from search_spaces.site import Site

transparent(Mlp)
zeroed(Mlp)(lambda module, zero: zero(module.fc2))


@part("channel_mixer", "mlp", source="Attention Is All You Need", sliced=True, sides=(0, 1, 2))
class MLP(Part):
    """Two 1x1 layers (of features without sides, linear ones) with `expansion` times the channels between."""

    expansion: float = size("expansion", default=4, grows=True)
    activation: Any = slot("activation", default="gelu")

    def validate(self) -> None:
        if self.expansion <= 0:
            raise SpaceError(f"must be above 0, not {self.expansion}", "mlp.expansion")

    def build(self, site: Site) -> nn.Module:
        hidden = max(1, round(site.channels * self.expansion))
        activation = partial(self.activation.build, site.wide(hidden))
        mixer = Mlp(site.channels, hidden, act_layer=activation, use_conv=bool(site.sides))
        return convs_of(mixer, len(site.sides))

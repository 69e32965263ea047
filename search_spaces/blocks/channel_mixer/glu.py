"""Gated linear units."""

from functools import partial
from typing import Any

from timm.layers import GluMlp
from torch import nn

from search_spaces.declarations import grows, zeroed
from search_spaces.errors import SpaceError
from search_spaces.layers.by_sides import convs_of
from search_spaces.parts import Part, part, size, slot
from search_spaces.site import Site

zeroed(GluMlp)(lambda module, zero: zero(module.fc2))


@grows(GluMlp)
def _gated(growth: Any, old: Any, new: Any, path: str) -> None:
    """The first layer gives values, then gates; each half has copies of its own."""
    half = new.fc1.weight.shape[0] // 2
    weight = growth.rows(old.fc1.weight.unflatten(0, (2, -1)), half, 1).flatten(0, 1)
    new.fc1.weight.copy_(growth.columns(weight, new.fc1.weight.shape[1]))
    new.fc1.bias.copy_(growth.rows(old.fc1.bias.unflatten(0, (2, -1)), half, 1).flatten())
    growth.grow(old.fc2, new.fc2, f"{path}.fc2")


@part(
    "channel_mixer",
    "glu",
    source="GLU Variants Improve Transformer",
    sliced=True,
    chunks={"fc1.weight": 2, "fc1.bias": 2},
    sides=(0, 1, 2),
)
class GLU(Part):
    """A gated linear unit: `value * activation(gate)`, each with `expansion` times the channels, then a 1x1 layer."""

    expansion: float = size("expansion", default=2, grows=True)
    activation: Any = slot("activation", default="silu")

    def validate(self) -> None:
        if self.expansion <= 0:
            raise SpaceError(f"must be above 0, not {self.expansion}", "glu.expansion")

    def build(self, site: Site) -> nn.Module:
        hidden = max(1, round(site.channels * self.expansion))
        activation = partial(self.activation.build, site.wide(hidden))
        mixer = GluMlp(site.channels, 2 * hidden, act_layer=activation, use_conv=bool(site.sides))
        return convs_of(mixer, len(site.sides))

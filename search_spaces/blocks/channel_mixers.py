"""Channel mixers: `build(shape)` gives a module that mixes the channels of each position, same shape in and out."""

from typing import Any

from timm.layers import GluMlp, Mlp
from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part, slot


@part("channel_mixer", "mlp", source="Attention Is All You Need")
class MLP(Part):
    """Two 1x1 layers with `expansion` times the channels between."""

    expansion: float = 4
    activation: Any = slot("activation", default="gelu")

    def validate(self) -> None:
        if self.expansion <= 0:
            raise SpaceError(f"must be above 0, not {self.expansion}", "mlp.expansion")

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        hidden = max(1, round(shape[0] * self.expansion))
        return Mlp(shape[0], hidden, act_layer=self.activation.build, use_conv=True)


@part("channel_mixer", "glu", source="GLU Variants Improve Transformer")
class GLU(Part):
    """A gated linear unit: `value * activation(gate)`, each with `expansion` times the channels, then a 1x1 layer."""

    expansion: float = 2
    activation: Any = slot("activation", default="silu")

    def validate(self) -> None:
        if self.expansion <= 0:
            raise SpaceError(f"must be above 0, not {self.expansion}", "glu.expansion")

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        hidden = max(1, round(shape[0] * self.expansion))
        return GluMlp(shape[0], 2 * hidden, act_layer=self.activation.build, use_conv=True)

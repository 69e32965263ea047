"""Dropout before the last layer."""

from functools import partial
from typing import Any

from torch import nn

from evaluators.layers import last_layer
from evaluators.recipes.regulariser import Regulariser
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part(
    "regulariser",
    "dropout",
    source="Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
)
class Dropout(Regulariser):
    """What the last layer is given is set to zero with probability `p`, value by value."""

    p: float = 0.2

    def validate(self) -> None:
        if not 0 <= self.p < 1:
            raise SpaceError(f"must be from 0 to below 1, not {self.p!r}", "dropout.p")

    def apply(self, network: nn.Module) -> None:
        last, drop = last_layer(network), nn.Dropout(self.p)
        last.add_module("dropout", drop)
        last.register_forward_pre_hook(partial(_dropped, drop))


def _dropped(drop: nn.Module, layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return (drop(inputs[0]), *inputs[1:])

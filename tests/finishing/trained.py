"""Small networks as if they had been trained, for finishers to work on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archfront.finishing import Given
from evaluators.datasets import DataSet, load
from evaluators.recipe import default_recipe
from search_spaces.blocks import Block, Conv3x3Stem, DepthwiseConv
from search_spaces.building import build
from search_spaces.topologies import Network, Stage

DIGITS = load("digits")


def chain(*stages: int | tuple[int, int], block: Any = None) -> Network:
    """A network of stages, each of a width and a number of blocks (2 where only the width is given)."""
    block = block or Block(DepthwiseConv(3), "mlp", norm="batch")
    pairs = [stage if isinstance(stage, tuple) else (stage, 2) for stage in stages]
    made = [Stage(w, (block,) * n, None if i == 0 else "conv") for i, (w, n) in enumerate(pairs)]
    return Network(Conv3x3Stem(stride=1), tuple(made))


def state_of(architecture: Any, data: DataSet = DIGITS, seed: int = 0) -> dict[str, Tensor]:
    """Weights and statistics of a network that are all different from each other."""
    network = build(architecture, data.inputs, data.outputs, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(module.num_features, generator=generator) / 4)
            for tensor in (module.running_var, module.weight.data):
                tensor.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
            module.bias.data.copy_(torch.randn(module.num_features, generator=generator) / 4)
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def given(architecture: Any, folder: Path, data: DataSet = DIGITS, state: Mapping[str, Tensor] | None = None) -> Given:
    """What a finisher is given; healing changes nothing."""

    def heal(network: Any, weights: Mapping[str, Tensor], epochs: int) -> Mapping[str, Tensor]:
        return weights

    weights = state_of(architecture, data) if state is None else state
    return Given(architecture, weights, data, default_recipe(data), 0, "cpu", folder, heal)


def outputs(network: nn.Module, data: DataSet = DIGITS, count: int = 64) -> Tensor:
    """What a network gives for some validation examples."""
    with torch.no_grad():
        return network.eval()(data.prepared(data.validation.inputs[:count]))

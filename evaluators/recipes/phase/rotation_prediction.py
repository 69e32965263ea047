"""Pretraining by rotations."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluators.layers import last_layer
from evaluators.recipes.phase import Phase
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part("phase", "rotation_prediction", source="Unsupervised Representation Learning by Predicting Image Rotations")
class RotationPrediction(Phase):
    """Pretraining without targets: by how many quarters of a turn was each picture rotated?

    A linear layer of its own tells it from what the network's last layer is given, which itself doesn't learn
    meanwhile. Each picture is rotated once, at random.
    """

    share: float = 0.3

    own_loss: ClassVar[bool] = True

    def validate(self) -> None:
        if not 0 < self.share < 1:
            where = "rotation_prediction.share"
            raise SpaceError(f"must be a share between 0 and 1, not {self.share!r}", where)

    def refuses(self, data: Any) -> str | None:
        if data.medium != "pictures" or data.inputs[1] != data.inputs[2]:
            return "is for square pictures"
        return None

    def batch(
        self, inputs: Tensor, targets: Tensor, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        turns = torch.randint(0, 4, (len(inputs),), generator=generator).to(inputs.device)
        rotated = inputs
        for quarters in (1, 2, 3):
            turned = (turns == quarters).view(-1, 1, 1, 1)
            rotated = torch.where(turned, torch.rot90(inputs, quarters, (2, 3)), rotated)
        return rotated, turns

    def beside(self, network: nn.Module, data: Any) -> nn.Module | None:
        example = data.prepared(data.train.inputs[:2]).to(next(network.parameters()).device)
        was = network.training
        with torch.no_grad():
            features = _features(network.eval(), example)
        network.train(was)
        return nn.Linear(features.shape[1], 4)

    def loss(self, network: nn.Module, beside: nn.Module | None, inputs: Tensor, targets: Tensor) -> Tensor:
        assert beside is not None
        return functional.cross_entropy(beside(_features(network, inputs)).float(), targets)


def _features(network: nn.Module, inputs: Tensor) -> Tensor:
    """(n, features): what the network's last layer is given, the mean over places where there are some."""
    seen: list[Tensor] = []
    last = last_layer(network)
    hook = last.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        network(inputs)
    finally:
        hook.remove()
    if seen[-1].ndim > 2:  # Of convolutions the channels come first, of tokens last.
        return seen[-1].flatten(1, -2).mean(1) if isinstance(last, nn.Linear) else seen[-1].flatten(2).mean(2)
    return seen[-1]

"""Averaged weights beside those that are trained."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from evaluators.recipes.training import Recipe


class AveragedWeights:
    """A second set of a network's weights and statistics, which follows the first one by a recipe's `averaging`."""

    def __init__(self, averaging: Any, network: nn.Module) -> None:
        self.averaging = averaging
        self.tensors: dict[str, Tensor] = {n: t.detach().clone() for n, t in network.state_dict().items()}
        self._places: dict[str, tuple[dict[str, Tensor | None], str]] = {}

    @classmethod
    def of(cls, recipe: Recipe, network: nn.Module) -> "AveragedWeights | None":
        """Those that a recipe asks for; None where it asks for none."""
        averaging = recipe.one("averaging")
        return None if averaging is None else cls(averaging, network)

    def renew(self, network: nn.Module) -> None:
        """Begin anew with tensors that the network didn't have, or had in another shape."""
        self._places = {}
        for name, tensor in network.state_dict().items():
            if name not in self.tensors or self.tensors[name].shape != tensor.shape:
                self.tensors[name] = tensor.detach().clone()

    def follow(self, network: nn.Module, step: int) -> None:
        """Take in the weights after step number `step` (from 0); what is counted in integers is taken over."""
        self._places = self._places or _places(network)
        # As `network.state_dict()`, which takes longer than a small network's averages.
        current = {name: tensor for name, (held, key) in self._places.items() if (tensor := held[key]) is not None}
        floats = [name for name, tensor in current.items() if tensor.is_floating_point()]
        with torch.no_grad():
            self.averaging.follow([self.tensors[n] for n in floats], [current[n] for n in floats], step)
            for name in current.keys() - set(floats):
                self.tensors[name].copy_(current[name])

    def take_over(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what a checkpoint holds."""
        for name, tensor in self.tensors.items():
            tensor.copy_(tensors[name])

    @contextmanager
    def in_place(self, network: nn.Module) -> Iterator[None]:
        """The network with the averaged weights; afterwards with its own again."""
        own = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        network.load_state_dict(self.tensors)
        try:
            yield
        finally:
            network.load_state_dict(own)


def _places(network: nn.Module) -> dict[str, tuple[dict[str, Tensor | None], str]]:
    """Where modules hold the tensors that `state_dict` names: a module's own table, and the key in it."""
    found: dict[str, tuple[dict[str, Any], str]] = {}
    for prefix, module in network.named_modules(remove_duplicate=False):
        kept = [name for name in module._buffers if name not in module._non_persistent_buffers_set]
        for table, names in ((module._parameters, list(module._parameters)), (module._buffers, kept)):
            found |= {f"{prefix}.{name}" if prefix else name: (table, name) for name in names}
    return found

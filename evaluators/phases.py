"""The phases of a training: which one a step belongs to, and what learns beside the network in them."""

from typing import Any

import torch
from torch import Tensor, nn

from evaluators.datasets import DataSet
from evaluators.recipes.training import Recipe
from search_spaces.errors import SpaceError


class Phases:
    """A recipe's phases for one network on the device. `beside` holds their own modules, initialised from `seed`."""

    def __init__(self, recipe: Recipe, network: nn.Module, data: DataSet, seed: int) -> None:
        self.parts = recipe.parts("phases")
        self.beside = nn.ModuleDict()
        self._network = network
        self._resting: list[nn.Parameter] = []
        self._phase: Any = None
        if not self.parts:
            return
        device = next(network.parameters()).device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for number, part in enumerate(self.parts):
                own = part.beside(network, data)
                if own is not None:
                    self.beside[str(number)] = own.to(device)
        self._check(network, data.prepared(data.train.inputs[:2]).to(device))

    def _check(self, network: nn.Module, inputs: Tensor) -> None:
        """Raise `SpaceError` where the network can't take the inputs with which a phase begins."""
        was = network.training
        for part in self.parts:
            changed, _ = part.batch(inputs, torch.zeros(len(inputs)), 0.0, torch.Generator())
            try:
                with torch.no_grad():
                    network.eval()(changed)
            except (RuntimeError, AssertionError, ValueError) as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                shape = "×".join(map(str, changed.shape[1:]))
                raise SpaceError(
                    f"the network can't take inputs of {shape}, with which '{part.name}' begins: {reason}",
                    "recipe.phases",
                ) from None
            finally:
                network.train(was)

    def at(self, step: int, steps: int) -> tuple[Any, nn.Module | None, float]:
        """The phase of step number `step` (from 0) of a full training's `steps`, its own module, and its progress.

        The phase is None after the last one.
        """
        first, end = 0, 0.0
        for number, part in enumerate(self.parts):
            end += part.share * steps
            last = round(end)
            if step < last:
                self._enter(part)
                own = dict(self.beside.items()).get(str(number))
                return part, own, (step - first) / (last - first)
            first = last
        self._enter(None)
        return None, None, 0.0

    def _enter(self, part: Any) -> None:
        """Let rest what doesn't learn in a phase, and learn again what rested in the one before."""
        if part is self._phase:
            return
        for parameter in self._resting:
            parameter.requires_grad_(True)
        learning = None if part is None else part.learning(self._network)
        self._phase, self._resting = part, []
        if learning is None:
            return
        chosen = {id(parameter) for parameter in learning}
        for parameter in self._network.parameters():
            if parameter.requires_grad and id(parameter) not in chosen:
                self._resting.append(parameter.requires_grad_(False))

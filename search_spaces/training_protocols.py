"""What modules may have to say while they are trained: a loss of their own, and how they change as training goes on.

Protocols, which any module of a network may follow, as it may follow `reparameterize()`:

- `auxiliary_loss(criterion) -> Tensor`: a loss of its last forward pass that is added to the training loss, as experts'
  load balance or an early exit's. `criterion(outputs)` is the training loss that these outputs would have had.
- `set_progress(progress)`: told before each step the share of the training that is done, 0 to 1, as a temperature or
  a drop rate that follows a schedule needs it.
- `routed`, an attribute: whether, in evaluation, it may leave out what an example doesn't need. False for as long as
  everything has to be seen, as by statistics that are collected.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

Criterion = Callable[[Tensor], Tensor]


class Following:
    """The modules of a network that follow the protocols, found once: a training's steps then cost nothing more."""

    def __init__(self, network: nn.Module) -> None:
        modules: list[Any] = list(network.modules())
        self._losing = [module for module in modules if callable(getattr(module, "auxiliary_loss", None))]
        self._told = [module for module in modules if callable(getattr(module, "set_progress", None))]

    def with_losses(self, loss: Tensor, criterion: Criterion) -> Tensor:
        """The loss of a step's forward pass together with what the modules add to it."""
        for module in self._losing:
            loss = loss + module.auxiliary_loss(criterion)
        return loss

    def tell(self, progress: float) -> None:
        """Tell the modules that ask for it the share of the training that is done."""
        for module in self._told:
            module.set_progress(progress)


def with_auxiliary_losses(loss: Tensor, network: nn.Module, criterion: Criterion) -> Tensor:
    """The loss of a step's forward pass together with what the network's modules add to it."""
    return Following(network).with_losses(loss, criterion)


def tell_progress(network: nn.Module, progress: float) -> None:
    """Tell the modules that ask for it the share of the training that is done."""
    Following(network).tell(progress)


@contextmanager
def unrouted(network: nn.Module) -> Iterator[None]:
    """Let every module of the network compute everything, whatever an example needs."""
    routed: list[Any] = [module for module in network.modules() if getattr(module, "routed", False)]
    for module in routed:
        module.routed = False
    try:
        yield
    finally:
        for module in routed:
            module.routed = True

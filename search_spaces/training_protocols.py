"""What modules may have to say while they are trained: a loss of their own, and how they change as training goes on.

Two protocols, which any module of a network may follow, as it may follow `reparameterize()`:

- `auxiliary_loss(criterion) -> Tensor`: a loss of its last forward pass that is added to the training loss, as experts'
  load balance or an early exit's. `criterion(outputs)` is the training loss that these outputs would have had.
- `set_progress(progress)`: told before each step the share of the training that is done, 0 to 1, as a temperature or
  a drop rate that follows a schedule needs it.
"""

from collections.abc import Callable

from torch import Tensor, nn

Criterion = Callable[[Tensor], Tensor]


def with_auxiliary_losses(loss: Tensor, network: nn.Module, criterion: Criterion) -> Tensor:
    """The loss of a step's forward pass together with what the network's modules add to it."""
    for module in network.modules():
        own = getattr(module, "auxiliary_loss", None)
        if callable(own):
            loss = loss + own(criterion)
    return loss


def tell_progress(network: nn.Module, progress: float) -> None:
    """Tell the modules that ask for it the share of the training that is done."""
    for module in network.modules():
        told = getattr(module, "set_progress", None)
        if callable(told):
            told(progress)

"""Phases: how a training goes on in stages, as pretraining, then training."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from evaluators.recipes import Member
from search_spaces.families import Family

PHASE = Family("phase", __name__)

Criterion = Callable[[Tensor], Tensor]
"""From outputs for a batch to the loss that the training has otherwise."""


class Phase(Member):
    """A phase, a stretch of the training with batches, or even a task, of its own.

    Its field `share` is its length, as a share of all steps. Phases come one after another in their order from the
    beginning; what they leave of the steps is trained as without them. The rate follows one schedule over all.
    """

    share: Any

    own_loss: ClassVar[bool] = False
    """Whether `loss` isn't the training's; its batches then aren't mixed with others or taught."""

    def batch(
        self, inputs: Tensor, targets: Tensor, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """What it makes of a batch (augmented, unless the loss is its own); `progress` is its own, 0 to below 1."""
        return inputs, targets

    def beside(self, network: nn.Module, data: Any) -> nn.Module | None:
        """What learns beside the network, as a head of its own; made before the training, random, and kept with it."""
        return None

    def learning(self, network: nn.Module) -> list[nn.Parameter] | None:
        """The network's parameters that learn in it, while all others rest; None: all that learn otherwise."""
        return None

    def loss(self, network: nn.Module, beside: nn.Module | None, inputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch, of what says `own_loss`."""
        raise NotImplementedError(f"{type(self).__name__} has no loss of its own; say so with own_loss = False")

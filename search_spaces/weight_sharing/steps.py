"""Ways to train a supernet on one batch, by name. Each computes gradients and takes one step of the optimizer."""

from random import Random
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from search_spaces.registry import Registry
from search_spaces.weight_sharing.sampling import fair
from search_spaces.weight_sharing.supernet import Supernet


class Step(Protocol):
    """`step(supernet, images, labels, optimizer, rng, clip)` returns the loss of each network that it trained.

    Gradients of weights that no network of the step has are None, so the optimizer leaves them, and its state of
    them, alone. `clip` bounds the norm of all gradients.
    """

    def __call__(
        self,
        supernet: Supernet,
        images: Tensor,
        labels: Tensor,
        optimizer: torch.optim.Optimizer,
        rng: Random,
        clip: float | None = None,
    ) -> list[float]: ...


STEPS: Registry[Step] = Registry("training step", "search_spaces.weight_sharing")


@STEPS.register("sandwich", source="BigNAS: Scaling Up Neural Architecture Search with Big Single-Stage Models")
def sandwich(
    supernet: Supernet,
    images: Tensor,
    labels: Tensor,
    optimizer: torch.optim.Optimizer,
    rng: Random,
    clip: float | None = None,
    draws: int = 2,
) -> list[float]:
    """The largest network learns from the labels; the smallest and `draws` random ones learn from its outputs."""
    optimizer.zero_grad(set_to_none=True)
    outputs, first = _trained(supernet, supernet.largest(rng), images, labels)
    taught = functional.softmax(outputs, dim=1)
    others = [supernet.smallest(rng), *(supernet.space.sample(rng) for _ in range(draws))]
    losses = [first, *(_trained(supernet, architecture, images, taught)[1] for architecture in others)]
    return _stepped(supernet, optimizer, losses, clip)


@STEPS.register("single_path", source="Single Path One-Shot Neural Architecture Search with Uniform Sampling")
def single_path(
    supernet: Supernet,
    images: Tensor,
    labels: Tensor,
    optimizer: torch.optim.Optimizer,
    rng: Random,
    clip: float | None = None,
) -> list[float]:
    """One network, every option of each decision equally likely."""
    optimizer.zero_grad(set_to_none=True)
    losses = [_trained(supernet, supernet.space.sample(rng), images, labels)[1]]
    return _stepped(supernet, optimizer, losses, clip)


@STEPS.register("fair", source="FairNAS: Rethinking Evaluation Fairness of Weight Sharing Neural Architecture Search")
def fair_sampling(
    supernet: Supernet,
    images: Tensor,
    labels: Tensor,
    optimizer: torch.optim.Optimizer,
    rng: Random,
    clip: float | None = None,
) -> list[float]:
    """As many networks as the widest decision has options: each option of it is trained exactly once in the step.

    Decisions with fewer options take each equally often, up to one.
    """
    optimizer.zero_grad(set_to_none=True)
    drawn = fair(supernet.space, rng) or [supernet.space.sample(rng)]
    losses = [_trained(supernet, architecture, images, labels)[1] for architecture in drawn]
    return _stepped(supernet, optimizer, losses, clip)


def _trained(supernet: Supernet, architecture: object, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The outputs and the loss of one network, whose gradients are added to the store's.

    `targets` are labels, or probabilities to match.
    """
    supernet.activate(architecture)
    outputs = supernet(images)
    loss = functional.cross_entropy(outputs, targets)
    loss.backward()
    return outputs.detach(), loss.detach()


def _stepped(
    supernet: Supernet, optimizer: torch.optim.Optimizer, losses: list[Tensor], clip: float | None
) -> list[float]:
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(supernet.parameters(), clip)
    optimizer.step()
    return [float(loss) for loss in losses]

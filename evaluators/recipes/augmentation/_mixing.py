"""What augmentations share that mix two examples."""

import numpy as np
import torch
from torch import Tensor


def partners(n: int, alpha: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """For each of n examples the number of the one that it is mixed with, and its own share, by Beta(alpha, alpha)."""
    order = torch.randperm(n, generator=generator)
    # torch draws from this distribution by its global generator alone.
    seed = int(torch.randint(0, 2**62, (), generator=generator))
    shares = np.random.default_rng(seed).beta(alpha, alpha, n)
    return order, torch.from_numpy(shares).float()


def mixed(values: Tensor, order: Tensor, shares: Tensor) -> Tensor:
    """The mean of each value and its partner's, weighted by the share that is its own."""
    own = shares.to(values).view(-1, *[1] * (values.ndim - 1))
    return own * values + (1 - own) * values[order]

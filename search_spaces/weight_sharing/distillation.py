"""How far a student's outputs are from its teacher's, as losses, by name."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from search_spaces.errors import SpaceError, near

Divergence = Callable[[Tensor, Tensor], Tensor]
"""`divergence(outputs, wanted)`: the mean over a batch, from two tensors of logits (n, classes)."""

CLIP = 5.0
"""The largest importance ratio that alpha-divergence lets through, as in its paper."""


def kullback_leibler(outputs: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy with the teacher's probabilities: the divergence up to a term that the student can't change."""
    return functional.cross_entropy(outputs, functional.softmax(wanted, dim=1))


def adaptive_alpha(outputs: Tensor, wanted: Tensor) -> Tensor:
    """The larger, picture by picture, of the alpha-divergences for -1 and 1, importance ratios clipped.

    The one penalises a student that is sure where its teacher isn't, the other one that misses what its teacher
    sees ("AlphaNet: Improved Training of Supernets with Alpha-Divergence").
    """
    below, above = alpha_divergence(outputs, wanted, -1.0), alpha_divergence(outputs, wanted, 1.0)
    return torch.where(below.detach() > above.detach(), below, above).mean()


def alpha_divergence(outputs: Tensor, wanted: Tensor, alpha: float, clip: float = CLIP) -> Tensor:
    """The alpha-divergence of each picture (n,); clipping bounds value and gradient, as it does in the paper's code."""
    log_q, log_p = functional.log_softmax(outputs, dim=1), functional.log_softmax(wanted, dim=1)
    q, ratio = log_q.detach().exp(), (log_p - log_q.detach()).exp()
    if alpha == 1:
        value, slope = ratio * (log_p - log_q.detach()), ratio
    else:
        power = ratio.pow(alpha).clamp(max=clip)
        value = (power - 1) / (alpha * (alpha - 1))
        slope = power / alpha
    # The gradient of the divergence is that of `pulled`; the value is the divergence itself.
    pulled = -(q * slope * log_q).sum(1)
    return (q * value).sum(1) + pulled - pulled.detach()


DIVERGENCES: dict[str, Divergence] = {"kl": kullback_leibler, "alpha": adaptive_alpha}


def divergence_named(name: str) -> Divergence:
    """The divergence called `name`; raises `SpaceError` with the near names."""
    if name not in DIVERGENCES:
        raise SpaceError(f"no divergence is named '{name}'; {near(name, DIVERGENCES)}")
    return DIVERGENCES[name]

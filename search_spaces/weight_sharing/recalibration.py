"""Batch normalization statistics for one network of a supernet: its shared ones are a mixture of all networks'."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from search_spaces.errors import SpaceError
from search_spaces.training_protocols import unrouted
from search_spaces.weight_sharing.supernet import Supernet

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass
class Moments:
    """Mean and sum of squared deviations per channel in float64, batches combined exactly (Chan et al.)."""

    count: int = 0
    mean: Any = 0.0
    deviations: Any = 0.0

    def add(self, x: Tensor) -> None:
        """Take in a batch of (batch, channels, …)."""
        values = x.detach().to(torch.float64).transpose(0, 1).flatten(1)
        count, mean = values.shape[1], values.mean(1)
        deviations = (values - mean[:, None]).square().sum(1)
        shift, total = mean - self.mean, self.count + count
        self.deviations = self.deviations + deviations + shift.square() * (self.count * count / total)
        self.mean = self.mean + shift * (count / total)
        self.count = total

    def variance(self) -> Tensor:
        """The unbiased variance over the whole stream, as batch normalization keeps it."""
        return self.deviations / max(1, self.count - 1)


class Recalibrated:
    """A network with fresh statistics; leaving the `with` block, or `restore`, brings back the ones before."""

    def __init__(self, saved: list[tuple[Tensor, Tensor]]) -> None:
        self._saved = saved

    def __enter__(self) -> "Recalibrated":
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()

    def restore(self) -> None:
        """Put the former statistics back."""
        with torch.no_grad():
            for tensor, before in self._saved:
                tensor.copy_(before)


def recalibrate(model: nn.Module, batches: Iterable[Any]) -> Recalibrated:
    """Set the batch normalization statistics of `model`, or a supernet's active network, to those of a stream.

    `batches` are tensors (batch, channels, height, width), or pairs that begin with one, of training images. While
    they pass, batch normalizations normalize by the batch, as in training, and all else (dropout) is as in
    evaluation. The result are mean and unbiased variance over the whole stream, the variance between batches
    included, accumulated in float64. They depend on no earlier statistics, and, used in a `with` statement, leave
    none behind: the order in which networks are evaluated changes nothing. Raises `SpaceError` for an empty stream.
    """
    network = model.network if isinstance(model, Supernet) else model
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    saved = [(getattr(norm, name), getattr(norm, name).clone()) for norm in norms for name in STATISTICS]
    modes = [(module, module.training) for module in {*model.modules(), *network.modules()}]
    moments = [Moments() for _ in norms]
    hooks = [norm.register_forward_pre_hook(partial(_take, found)) for norm, found in zip(norms, moments, strict=True)]
    restoration = Recalibrated(saved)
    try:
        model.eval()
        network.eval()
        for norm in norms:
            norm.train()
        with torch.no_grad(), unrouted(network):
            for batch in batches if norms else ():
                model(batch if isinstance(batch, Tensor) else batch[0])
            if any(found.count == 0 for found in moments):
                raise SpaceError("recalibrate() needs one batch or more; give it training images")
            restoration.restore()
            for norm, found in zip(norms, moments, strict=True):
                norm.running_mean.copy_(found.mean)
                norm.running_var.copy_(found.variance())
    except BaseException:
        restoration.restore()
        raise
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
    return restoration


def _take(moments: Moments, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    moments.add(inputs[0])

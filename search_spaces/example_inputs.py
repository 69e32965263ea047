"""Inputs made up for a network whose data aren't at hand."""

from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.site import Shape


def takes_ids(network: nn.Module) -> bool:
    """Whether a network takes numbers of tokens, int64 (batch, length), where its inputs are (vocabulary, length).

    `building.build` has left that on it.
    """
    return bool(getattr(network, "takes_ids", False))


def input_shape(network: nn.Module, inputs: Shape) -> Shape:
    """The shape of one example as a tensor holds it."""
    return tuple(inputs[1:]) if takes_ids(network) else tuple(inputs)


def example_inputs(
    network: nn.Module, inputs: Shape, batch: int = 1, seed: int = 0, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Random inputs (batch, ...) for a network made for `inputs`: normal values of `dtype`, or numbers of tokens."""
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, *input_shape(network, inputs))
    if takes_ids(network):
        return torch.randint(0, inputs[0], shape, generator=generator)
    # Drawn in single precision, so that a network in another one is given the same values.
    return torch.randn(shape, generator=generator).to(dtype)


def no_inputs(network: nn.Module, inputs: Shape, batch: int = 1, like: Any = None) -> Tensor:
    """Zeros (batch, ...) for such a network, of the device and (unless they are tokens) the type of `like`."""
    dtype = torch.int64 if takes_ids(network) else getattr(like, "dtype", torch.float32)
    return torch.zeros((batch, *input_shape(network, inputs)), device=getattr(like, "device", None), dtype=dtype)

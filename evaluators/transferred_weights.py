"""Weights of a network for other data, fitted to the network of the same architecture for the data at hand."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.building import build
from search_spaces.errors import SpaceError
from search_spaces.site import Shape


def transfer(
    state: Mapping[str, Tensor], network: nn.Module, architecture: Any, inputs: Shape, outputs: int, head: bool
) -> list[str]:
    """Load what fits of `state` into `network`, which `architecture` is for `inputs` and `outputs`; the rest is named.

    A tensor fits where one of its name has its shape. Those whose shape depends on the number of outputs are the head,
    which is left as it is (and not named) unless `head`. Of those whose shape depends on the inputs' channels, filters
    (out, in, ...) are summed up for one channel, else repeated and scaled, as timm does.
    """
    kept = set() if head else depending(architecture, inputs, outputs, outputs_too=True)
    stem = depending(architecture, inputs, outputs, outputs_too=False)
    own = network.state_dict()
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name not in own or name in kept:
            continue
        fitting = refitted(tensor, own[name].shape[1]) if name in stem and tensor.ndim == 4 else tensor
        if fitting.shape == own[name].shape:
            found[name] = fitting.to(own[name].dtype)
    network.load_state_dict(found, strict=False)
    return sorted(own.keys() - found.keys() - kept)


def refitted(filters: Tensor, channels: int) -> Tensor:
    """Filters (out, in, height, width) for another number of channels, which give outputs of about the same size."""
    before = filters.shape[1]
    if channels == before:
        return filters
    if channels == 1:
        return filters.sum(1, keepdim=True)
    times = -(-channels // before)
    return filters.repeat(1, times, 1, 1)[:, :channels] * (before / channels)


@lru_cache(maxsize=256)
def depending(architecture: Any, inputs: Shape, outputs: int, outputs_too: bool) -> frozenset[str]:
    """The names of the tensors whose shape depends on the number of outputs, or else on the channels of the inputs.

    None do on the channels where a network can't be built for one more.
    """
    other = (inputs, outputs + 1) if outputs_too else ((inputs[0] + 1, *inputs[1:]), outputs)
    try:
        with torch.device("meta"):
            here, there = (build(architecture, *made).state_dict() for made in ((inputs, outputs), other))
    except SpaceError:
        return frozenset()
    return frozenset(name for name in here if name not in there or here[name].shape != there[name].shape)

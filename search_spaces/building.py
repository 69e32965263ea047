"""From an architecture to its module: shapes checked on the way, every error with its path."""

from typing import Any

import torch
from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, has_holes


def build(architecture: Any, inputs: tuple[int, int, int], outputs: int, seed: int | None = None) -> nn.Module:
    """The network that `architecture` (a part of family "network") describes, in training mode, on the CPU.

    It takes (batch, *inputs), with inputs = (channels, height, width), and returns (batch, outputs). With a `seed`
    the initial weights depend on nothing else, and torch's global generator is left as it was. Raises `SpaceError`
    with the path of the part that does not fit.
    """
    if not isinstance(architecture, Part) or architecture.family != "network":
        raise SpaceError(f"only a network can be built, not {type(architecture).__name__}", "architecture")
    if has_holes(architecture):
        raise SpaceError("has holes left; build space.sample(seed) or fill them", "architecture")
    if len(inputs) != 3 or min(inputs) < 1 or outputs < 1:
        raise SpaceError(
            f"takes inputs (channels, height, width) and outputs >= 1, not {inputs} and {outputs}", "build"
        )
    check(architecture, tuple(inputs))
    network: Any = architecture
    if seed is None:
        return network.build(tuple(inputs), outputs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network.build(tuple(inputs), outputs)


def check(part: Any, shape: tuple[int, ...], path: str = "") -> None:
    """Raise `SpaceError`, with its path, for the first part of the tree that doesn't accept the shape it is given.

    Stems and downsamples are given the width they lead to as a fourth number.
    """
    given, width = shape[:3], shape[3:]
    reason = part.accepts(given)
    if reason:
        raise SpaceError(reason, path or "architecture")
    if hasattr(part, "parts_at"):
        for name, inner, inner_shape in part.parts_at(given, *width):
            if inner is not None:
                check(inner, inner_shape, f"{path}.{name}" if path else name)

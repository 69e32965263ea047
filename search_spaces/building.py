"""From an architecture to its module: shapes checked on the way, every error with its path."""

from typing import Any

import torch
from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, has_holes
from search_spaces.site import Shape, Site


def build(architecture: Any, inputs: Shape, outputs: int, seed: int | None = None) -> nn.Module:
    """The network that `architecture` (a part of family "network") describes, in training mode, on the CPU.

    It takes (batch, *inputs), with inputs = (channels, height, width) for pictures, channels first in all cases, and
    returns (batch, outputs), or what its head says. Where its stem takes numbers of tokens, inputs are (vocabulary,
    length), and it takes int64 (batch, length). With a `seed` the initial weights depend on nothing else, and torch's
    global generator is left as it was. Raises `SpaceError` with the path of the part that does not fit.
    """
    if not isinstance(architecture, Part) or architecture.family != "network":
        raise SpaceError(f"only a network can be built, not {type(architecture).__name__}", "architecture")
    if has_holes(architecture):
        raise SpaceError("has holes left; build space.sample(seed) or fill them", "architecture")
    if not inputs or min(inputs) < 1 or outputs < 1:
        raise SpaceError(
            f"takes inputs (channels, *sides), all 1 or more, and outputs >= 1, not {inputs} and {outputs}", "build"
        )
    site = Site(tuple(inputs), outputs, inputs=tuple(inputs))
    check(architecture, site)
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        network: Any = architecture.build(site)  # type: ignore[attr-defined]
    network.takes_ids = architecture.takes_ids()
    return network


def check(part: Any, site: Site, path: str = "") -> None:
    """Raise `SpaceError`, with its path, for the first part of the tree that can't be built where it would be."""
    reason = _sides(part, site) or part.accepts(site)
    if reason:
        raise SpaceError(reason, path or "architecture")
    for name, inner, at in part.parts_at(site):
        if inner is not None:
            check(inner, at, f"{path}.{name}" if path else name)


def _sides(part: Any, site: Site) -> str | None:
    if part.sides is None or len(site.sides) in part.sides:
        return None
    wanted = " or ".join(map(str, part.sides))
    return f"{part.family} '{part.name}' works on maps of {wanted} sides, and is given {site.shape}"

"""Progressive shrinking: the largest network first, then smaller kernels, shallower and at last narrower ones."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from search_spaces.decisions import Decision
from search_spaces.errors import SpaceError
from search_spaces.space import Space
from search_spaces.weight_sharing.distillation import divergence_named
from search_spaces.weight_sharing.methods.base import METHODS, Lesson, Method, share, whole
from search_spaces.weight_sharing.sampling import among_extremes
from search_spaces.weight_sharing.supernet import Supernet

DIMENSIONS = ("kernel", "depth", "width")
"""What shrinks, in this order."""
KERNELS = {"kernel", "window"}
"""The kinds of sizes that shrink with the kernels; all but these and depths is width."""
LENGTHS = {"kernel": 120, "depth": 145, "width": 145}
"""Epochs that the paper gives to each; a space that lacks one gives its share to the others."""
FIRST = 25 / 145
"""Of the phases of depth and width, the share in which only one option below the largest is open."""


class Phase(NamedTuple):
    """Where a training stands: `open` says of each dimension how many of its largest options are drawn from."""

    open: dict[str, int]
    newest: str
    """The dimension that opened last; "" while there is only the largest network."""


@METHODS.register(
    "progressive-shrinking",
    source="Once-for-All: Train One Network and Specialize it for Efficient Deployment",
)
class ProgressiveShrinking(Method):
    """The largest network alone for the share `full` of the steps; then sizes open, and it teaches as it was then.

    Kernels open first, then depths, then widths with all other sizes; of depths and widths only one option below the
    largest at first. Networks are drawn from what is open, `kernel_networks`, `depth_networks` or `width_networks`
    of them a step by what opened last, and learn from the outputs of the largest network of their kinds, by
    `divergence` ("kl" or "alpha"). The lengths of the phases are in proportion to the paper's. Unlike there, the
    learning rate follows one schedule, labels teach the largest network only, and kinds are drawn from the start.
    """

    name = "progressive-shrinking"

    def __init__(
        self,
        full: float = 0.3,
        kernel_networks: int = 1,
        depth_networks: int = 2,
        width_networks: int = 4,
        divergence: str = "kl",
    ) -> None:
        self.frozen_from = self.full = share("full", full)
        if not 0 < self.full < 1:
            raise SpaceError(f"full={full:g} leaves no step for the largest network, or for the others; say 0.3")
        self.networks = {
            "kernel": whole("kernel_networks", kernel_networks, 1),
            "depth": whole("depth_networks", depth_networks, 1),
            "width": whole("width_networks", width_networks, 1),
        }
        self.divergence = divergence_named(divergence)

    def lessons(self, supernet: Supernet, rng: Random, progress: float) -> Sequence[Lesson]:
        phase = self.phase(supernet.space, progress)
        if not phase.newest:
            return [Lesson(supernet.largest(rng), regularised=True)]
        return [
            Lesson(among_extremes(supernet.space, True, rng, lambda d: phase.open[dimension_of(d)]), "frozen")
            for _ in range(self.networks[phase.newest])
        ]

    def phase(self, space: Space, progress: float) -> Phase:
        """What is open at a point of the training, from 0 to 1."""
        sizes = {name: _options(space, name) for name in DIMENSIONS}
        present = [name for name in DIMENSIONS if sizes[name] > 1]
        phase = Phase(dict.fromkeys(DIMENSIONS, 1), "")
        start, unit = self.full, (1 - self.full) / max(1, sum(LENGTHS[name] for name in present))
        for name in present:
            if progress < start:
                break
            stages = 0 if name == "kernel" or sizes[name] == 2 else FIRST
            early = progress < start + stages * LENGTHS[name] * unit
            phase = Phase({**phase.open, name: 2 if early else sizes[name]}, name)
            start += LENGTHS[name] * unit
        return phase


def dimension_of(decision: Decision) -> str:
    """Which of the dimensions a decision on a size belongs to."""
    return "kernel" if decision.kind in KERNELS else "depth" if decision.kind == "depth" else "width"


def _options(space: Space, dimension: str) -> int:
    """The most options that a decision on this dimension has."""
    sizes = [d for d in space.decisions if d.ordered and dimension_of(d) == dimension]
    return max((len(decision.options) for decision in sizes), default=1)

"""The sandwich rule: the largest, the smallest and some networks between them a step."""

from collections.abc import Sequence
from random import Random

from search_spaces.weight_sharing.distillation import divergence_named
from search_spaces.weight_sharing.methods.base import METHODS, Lesson, Method, share, whole
from search_spaces.weight_sharing.supernet import Supernet


@METHODS.register("sandwich", source="BigNAS: Scaling Up Neural Architecture Search with Big Single-Stage Models")
class Sandwich(Method):
    """The largest network learns from the labels; the smallest and `draws` random ones from its outputs.

    Only the largest is regularised. `divergence` is "kl", or "alpha" for that of "AlphaNet: Improved Training of
    Supernets with Alpha-Divergence". `labels` is the share of the others' loss that the labels keep, 0 in the paper: in
    a short training, when the largest knows little yet, the labels teach better.
    """

    name = "sandwich"

    def __init__(self, draws: int = 2, divergence: str = "kl", labels: float = 0.0) -> None:
        self.draws = whole("draws", draws, 0)
        self.labels = share("labels", labels)
        self.divergence = divergence_named(divergence)

    def lessons(self, supernet: Supernet, rng: Random, progress: float) -> Sequence[Lesson]:
        return [Lesson(supernet.largest(rng), regularised=True), *self.taught(supernet, rng)]

    def taught(self, supernet: Supernet, rng: Random, weight: float = 1.0) -> list[Lesson]:
        """The lessons of those that learn from the first network."""
        others = [supernet.smallest(rng), *(supernet.space.sample(rng) for _ in range(self.draws))]
        return [Lesson(architecture, "first", self.labels, weight) for architecture in others]

"""Several architectures in one forward and backward pass: the batch is shared out among them."""

from collections.abc import Sequence
from random import Random

from search_spaces.weight_sharing.methods.base import METHODS, Lesson, Method, whole
from search_spaces.weight_sharing.supernet import Supernet


@METHODS.register("multi-architecture", source="Searching for Efficient Multi-Stage Vision Transformers")
class MultiArchitecture(Method):
    """`networks` random networks a step, each of which sees its share of the pictures, from the labels.

    A step costs as much as one network's, so it suits large batches; batch normalization sees the share alone.
    """

    name = "multi-architecture"

    def __init__(self, networks: int = 4) -> None:
        self.networks = whole("networks", networks, 1)

    def lessons(self, supernet: Supernet, rng: Random, progress: float) -> Sequence[Lesson]:
        # The loss is the mean over all pictures, as if one network had seen them.
        weight, every = 1 / self.networks, self.networks
        return [
            Lesson(supernet.space.sample(rng), weight=weight, regularised=True, first=first, every=every)
            for first in range(every)
        ]

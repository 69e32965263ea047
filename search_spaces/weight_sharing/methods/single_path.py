"""Single path: one network a step."""

from collections.abc import Sequence
from random import Random

from search_spaces.weight_sharing.methods.base import METHODS, Lesson, Method
from search_spaces.weight_sharing.supernet import Supernet


@METHODS.register("single-path", source="Single Path One-Shot Neural Architecture Search with Uniform Sampling")
class SinglePath(Method):
    """One network a step, every option of each decision equally likely, from the labels."""

    name = "single-path"

    def lessons(self, supernet: Supernet, rng: Random, progress: float) -> Sequence[Lesson]:
        return [Lesson(supernet.space.sample(rng), regularised=True)]

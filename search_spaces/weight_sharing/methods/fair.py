"""Fair sampling: each option of each decision once a step."""

from collections.abc import Sequence
from random import Random

from search_spaces.weight_sharing.methods.base import METHODS, Lesson, Method
from search_spaces.weight_sharing.sampling import fair
from search_spaces.weight_sharing.supernet import Supernet


@METHODS.register("fair", source="FairNAS: Rethinking Evaluation Fairness of Weight Sharing Neural Architecture Search")
class FairSampling(Method):
    """As many networks a step as the widest decision has options, each option of it exactly once, from the labels.

    Decisions with fewer options take each equally often, up to one.
    """

    name = "fair"

    def lessons(self, supernet: Supernet, rng: Random, progress: float) -> Sequence[Lesson]:
        drawn = fair(supernet.space, rng) or [supernet.space.sample(rng)]
        return [Lesson(architecture, regularised=True) for architecture in drawn]

"""Random search: the baseline to show beside every other controller."""

from random import Random

from archfront.contracts import Proposal
from controllers.base import CONTROLLERS, Controller


@CONTROLLERS.register("random", source="Random Search for Hyper-Parameter Optimization")
class RandomSearch(Controller):
    """Uniform over the decisions, without duplicates."""

    def propose(self, rng: Random) -> Proposal:
        return self.proposal(self.space.sample(rng), "random")

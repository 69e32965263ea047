"""A controller of one's own: archfront search --controller examples/own_controller.py:HillClimbing."""

from random import Random

from archfront.contracts import Evaluation, Proposal
from controllers import Controller


class HillClimbing(Controller):
    """Tries the neighbours of the best candidate so far, in random order."""

    best: tuple[float, str] | None = None

    def observe(self, evaluation: Evaluation) -> None:
        """All learning happens here, so that a search that goes on learns the same again from its history."""
        value = evaluation.values.get(self.objectives[0].metric)
        if value is None:
            return
        found = (self.objectives[0].loss(value), evaluation.proposal.digest)
        self.best = found if self.best is None else min(self.best, found)

    def propose(self, rng: Random) -> Proposal:
        """Only the generator that is given is drawn from, and nothing is changed."""
        if self.best is None:
            return self.proposal(self.space.sample(rng), "random")
        digest = self.best[1]
        neighbours = list(self.space.neighbours(self.architecture(digest)))
        return self.proposal(rng.choice(neighbours), "neighbour", [digest])

"""A controller of one's own: archfront search --controller examples/own_controller.py:HillClimbing."""

from random import Random

from archfront.contracts import Evaluation, Proposal
from controllers import Controller


class HillClimbing(Controller):
    """Steps to a neighbour of the latest candidate that was as good as any before, in random order."""

    centre: str = ""

    def observe(self, evaluation: Evaluation) -> None:
        """All learning happens here, so that a search that goes on learns the same again from its history."""
        # The archive has the evaluation already, and keeps what no other beats in objectives and constraints.
        if any(member.digest == evaluation.proposal.digest for member in self.archive.front):
            self.centre = evaluation.proposal.digest

    def propose(self, rng: Random) -> Proposal:
        """Only the generator that is given is drawn from, and nothing is changed."""
        if not self.centre or rng.random() < 0.1:
            return self.proposal(self.space.sample(rng), "random")
        neighbours = list(self.space.neighbours(self.architecture(self.centre)))
        return self.proposal(rng.choice(neighbours), "neighbour", [self.centre])

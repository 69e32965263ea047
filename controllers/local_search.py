"""Local search with restarts: try the neighbours of the best, and start anew where none is better."""

from collections.abc import Sequence
from random import Random
from typing import Any

from archfront.contracts import Constraint, Evaluation, Objective, Proposal
from controllers.archive import Archive
from controllers.base import CONTROLLERS, Controller
from search_spaces.space import SearchSpace

DRAWS = 20
"""Random neighbours tried before all are listed."""


@CONTROLLERS.register("local-search", source="Exploring the Loss Landscape in Neural Architecture Search")
class LocalSearch(Controller):
    """Climbs from a random candidate: whichever neighbour is better becomes the centre; a new climb when none is.

    With several objectives a climb's centres are the members of its own front (Pareto local search).
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        self._climbs: list[Archive] = []
        self._climb_of: dict[str, int] = {}
        # Candidates whose neighbours were all proposed: a cache, since what was proposed stays so.
        self._explored: set[str] = set()

    def observe(self, evaluation: Evaluation) -> None:
        proposal = evaluation.proposal
        climb = next((self._climb_of[parent] for parent in proposal.parents if parent in self._climb_of), None)
        if climb is None:
            climb = len(self._climbs)
            self._climbs.append(Archive(self.objectives, self.constraints))
        self._climb_of[proposal.digest] = climb
        self._climbs[climb].add(evaluation)

    def propose(self, rng: Random) -> Proposal:
        for climb in reversed(self._climbs):
            centres = [member.digest for member in climb.front if member.digest not in self._explored]
            rng.shuffle(centres)
            for centre in centres:
                neighbour = self._unseen_neighbour(self.architecture(centre), rng)
                if neighbour is not None:
                    return self.proposal(neighbour, "neighbour", [centre])
                self._explored.add(centre)
        return self.proposal(self.space.sample(rng), "random")

    def _unseen_neighbour(self, centre: Any, rng: Random) -> Any | None:
        if not self.space.decisions:
            return None
        for _ in range(DRAWS):
            neighbour = self.space.mutate(centre, rng)
            if self.space.digest(neighbour) not in self._architectures:
                return neighbour
        every = [n for n in self.space.neighbours(centre) if self.space.digest(n) not in self._architectures]
        return rng.choice(every) if every else None

"""One-shot search: the outcome of a differentiable method, proposed to a study like that of any other controller."""

from collections.abc import Sequence
from random import Random

from archfront.contracts import Constraint, Objective, Proposal, WrongUse
from controllers.base import CONTROLLERS, TRIES, Controller
from search_spaces.errors import SpaceError
from search_spaces.policy import Policy
from search_spaces.space import SearchSpace


@CONTROLLERS.register("one-shot", source="DARTS: Differentiable Architecture Search")
class OneShot(Controller):
    """The most probable architecture of a learnt policy first, then draws from the policy, without duplicates.

    Where the policy is so sure that its draws repeat what was proposed before, more and more of each draw is even
    chance. Evaluations change nothing, so any objectives and constraints are taken: they rank what was proposed.
    """

    tries = 1  # `propose` draws often enough itself

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        policy: str = "",
    ) -> None:
        """`policy` is the JSON file that a differentiable method's training left.

        Raises `WrongUse` when there is none, or when it is for another space.
        """
        super().__init__(space, objectives, constraints, seed)
        if not isinstance(policy, str) or not policy:
            raise WrongUse(
                "the controller 'one-shot' needs the policy of a trained supernet: --set controller.policy=FILE.json"
            )
        try:
            self.policy = Policy.load(policy)
            self.policy.check(space)
        except SpaceError as error:
            raise WrongUse(f"the controller 'one-shot': {error}") from None

    def propose(self, rng: Random) -> Proposal:
        best = None if self._asked else self.policy.most_probable(self.space)
        if best is not None:
            return self.proposal(best, "most probable")
        for tried in range(TRIES):
            architecture = self.policy.sample(self.space, rng, uniform=(tried / TRIES) ** 2)
            if architecture is not None and self.space.digest(architecture) not in self._architectures:
                return self.proposal(architecture, "policy")
        return self.proposal(self.space.sample(rng), "random")

"""What searches with a learnt policy share: what they were told, the advantages, and draws without duplicates."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from random import Random
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from archfront.contracts import Constraint, Evaluation, Objective, Proposal, WrongUse
from controllers.base import TRIES, Controller
from controllers.rewards import Array, Form, Reward, ranked
from search_spaces.decisions import Decision
from search_spaces.space import Genes, SearchSpace

Indices = npt.NDArray[np.intp]
BASELINE = 0.1
"""The weight of the latest batch in the running mean that rewards are compared with."""
MEMORY = 200
"""Of how many of the latest results, with the front, the rewards are compared."""
PREFERENCES = 4
"""For how many preferences each result is learnt, where there are several objectives to prefer."""


class Table:
    """Rows of equal width in one array that grows as they come."""

    def __init__(self, width: int, dtype: type) -> None:
        self._rows: npt.NDArray[Any] = np.empty((64, width), dtype=dtype)
        self._count = 0

    def add(self, row: Sequence[float]) -> None:
        """Append a row."""
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[self._count] = row
        self._count += 1

    @property
    def rows(self) -> npt.NDArray[Any]:
        """All rows so far."""
        return self._rows[: self._count]


@dataclass(frozen=True)
class Lesson:
    """Candidates to learn from under one preference: genes, and how much better than expected each was."""

    genes: Indices
    advantages: Array
    preference: Array


class PolicySearch(Controller):
    """Draws decision by decision from a policy, and learns from what came back, `batch` results at a time.

    With several objectives and no target, a candidate is drawn for a preference, the weights of the objectives, which
    the policy is told; it learns every result for several preferences. The more often a draw repeats what was proposed
    before, the more of the next one is even chance.

    Args:
        start: random candidates before the policy is asked.
        batch: results that the policy learns from at a time.
        elites: the best seen so far, which are learnt again with every batch.
        reward: `soft` or `absolute` with a target of the cost, or `chebyshev`, which looks for the whole front; the
            default with several objectives and no target.
        target: of the second objective, for `soft` and `absolute`; 0 takes the median of what was seen so far.
        weight: the exponent of `soft` (0: -0.07), or what 100 % off the target costs of the first objective for
            `absolute` (0: one standard deviation).
        penalty: what an excess of 100 % of a constraint's bound costs, in standard deviations of the reward.
    """

    tries: ClassVar[int] = 1  # `propose` draws often enough itself

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        start: int = 20,
        batch: int = 5,
        elites: int = 10,
        reward: Form = "",
        target: float = 0.0,
        weight: float = 0.0,
        penalty: float = 10.0,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        if start < 1 or batch < 1 or elites < 0:
            raise WrongUse(f"{type(self).__name__.lower()} needs start >= 1, batch >= 1 and elites >= 0")
        self.reward = Reward(self.objectives, reward, target, weight, penalty)
        self._start = start
        self._batch = batch
        self._elites = elites
        widths = [len(decision.options) for decision in space.decisions]
        self._valid = np.arange(max(widths, default=1)) < np.array(widths).reshape(-1, 1)
        self._genes = Table(len(space.decisions), np.intp)
        self._losses = Table(len(self.objectives), np.float64)
        self._excess = Table(1, np.float64)
        self._fresh = 0
        self._rows: dict[str, int] = {}
        self._baseline = 0.0

    @abstractmethod
    def drawn(self, preference: Array, uniform: float, rng: Random) -> Genes:
        """The genes of a candidate, of which the share `uniform` is even chance."""

    @abstractmethod
    def learn(self, lessons: Sequence[Lesson]) -> None:
        """Move the policy towards what was better than expected."""

    def propose(self, rng: Random) -> Proposal:
        if self._asked < self._start or not self.space.decisions:
            return self.proposal(self.space.sample(rng), "random")
        preference = self.reward.preference(rng)
        for tried in range(TRIES):
            genes = self.drawn(preference, (tried / TRIES) ** 2, rng)
            # Genes may be no row of a table, whose nearest row is taken, or banned by a rule, and drawn again.
            architecture = next(iter(self.space.around(genes, rng)), None)
            if architecture is not None and self.space.digest(architecture) not in self._architectures:
                return self.proposal(architecture, "policy")
        return self.proposal(self.space.sample(rng), "random")

    def observe(self, evaluation: Evaluation) -> None:
        member = self.archive.member(evaluation)
        # What failed is in the table, too: the policy is to keep away from it.
        self._rows[evaluation.proposal.digest] = len(self._losses.rows)
        self._genes.add(self.space.genes(evaluation.proposal.architecture))
        self._losses.add(member.losses if member else [nan] * len(self.objectives))
        self._excess.add([member.excess if member else 0.0])
        self._fresh += 1
        if self._fresh >= self._batch and self.archive.front:
            self.learn(self._batch_of_lessons())
            self._fresh = 0

    def _batch_of_lessons(self) -> list[Lesson]:
        count = len(self._losses.rows)
        rng = Random(f"{self.seed}/lesson/{count}")
        best = np.array([self._rows[member.digest] for member in self.archive.front])
        latest = np.arange(max(0, count - MEMORY), count)
        known = np.concatenate([np.sort(best[best < latest[0]]), latest])
        losses, excess = self._losses.rows[known], self._excess.rows[known, 0]
        lessons = []
        for _ in range(PREFERENCES if self.reward.preferences > 1 else 1):
            preference = self.reward.preference(rng)
            rewards = self.reward(losses, excess, preference, self._losses.rows[best])
            chosen, advantages = self._advantages(rewards)
            lessons.append(Lesson(self._genes.rows[known[chosen]], advantages, preference))
        return lessons

    def _advantages(self, rewards: Array) -> tuple[Indices, Array]:
        """Whom to learn from, the fresh and the best so far, and by how much each is better than expected."""
        merits = ranked(rewards)
        fresh = np.arange(max(0, len(merits) - self._fresh), len(merits))
        self._baseline += BASELINE * (float(merits[fresh].mean()) - self._baseline)
        best = np.argsort(-rewards, kind="stable")[: self._elites]
        older = best[(best < fresh[0]) & np.isfinite(rewards[best])]
        chosen = np.concatenate([older, fresh])
        return chosen, merits[chosen] - self._baseline


def active(decision: Decision, genes: Sequence[int]) -> bool:
    """Whether the decision is in force, given the genes of those before it."""
    return decision.parent is None or genes[decision.parent] in decision.parent_options

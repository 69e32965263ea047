"""REINFORCE: a policy that chooses each decision by itself, moved towards the options of what was rewarded."""

from collections.abc import Sequence
from random import Random

import numpy as np
import numpy.typing as npt

from archfront.contracts import Constraint, Objective, WrongUse
from controllers.base import CONTROLLERS
from controllers.policy_search import Indices, Lesson, PolicySearch, active
from controllers.rewards import Array, Form
from search_spaces.decisions import INACTIVE
from search_spaces.space import Genes, SearchSpace


@CONTROLLERS.register(
    "reinforce",
    source="Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning",
)
class Reinforce(PolicySearch):
    """One categorical distribution per decision, given that it is in force.

    Takes what `PolicySearch` takes, and:

    Args:
        learning_rate: of the logits.
        entropy: the weight of the distributions' entropy, which keeps them from being sure too soon.
        steps: gradient steps after each batch of results.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        learning_rate: float = 0.3,
        entropy: float = 0.02,
        steps: int = 10,
        start: int = 20,
        batch: int = 5,
        elites: int = 10,
        reward: Form = "",
        target: float = 0.0,
        weight: float = 0.0,
        penalty: float = 10.0,
    ) -> None:
        super().__init__(
            space,
            objectives,
            constraints,
            seed,
            start=start,
            batch=batch,
            elites=elites,
            reward=reward,
            target=target,
            weight=weight,
            penalty=penalty,
        )
        if learning_rate <= 0 or entropy < 0 or steps < 1:
            raise WrongUse("reinforce needs learning_rate > 0, entropy >= 0 and steps >= 1")
        self._rate = learning_rate
        self._entropy = entropy
        self._steps = steps
        self.logits = np.zeros((self.reward.preferences, *self._valid.shape))

    def probabilities(self, preference: Array) -> Array:
        """Of each decision and option, 0 beyond its options; for one preference, or a row of them."""
        logits = preference @ self.logits.reshape(len(self.logits), -1)
        return softmax(logits.reshape(*preference.shape[:-1], *self._valid.shape), self._valid)

    def drawn(self, preference: Array, uniform: float, rng: Random) -> Genes:
        rows = self.probabilities(preference)
        genes: list[int] = []
        for decision, row in zip(self.space.decisions, rows.tolist(), strict=True):
            count = len(decision.options)
            weights = [(1 - uniform) * p + uniform / count for p in row[:count]]
            genes.append(rng.choices(range(count), weights)[0] if active(decision, genes) else INACTIVE)
        return tuple(genes)

    def learn(self, lessons: Sequence[Lesson]) -> None:
        preferences = np.array([lesson.preference for lesson in lessons])
        pulls = np.array([pull(lesson.genes, lesson.advantages, self._valid.shape[1]) for lesson in lessons])
        # Divided by the square, a step moves the logits of a preference by the same whatever it is.
        back = self._rate * (preferences / (preferences**2).sum(axis=1, keepdims=True)).T
        for _ in range(self._steps):
            gradients = gradient(self.probabilities(preferences), pulls, self._entropy)
            self.logits += (back @ gradients.reshape(len(lessons), -1)).reshape(self.logits.shape)


def softmax(logits: Array, valid: npt.NDArray[np.bool_]) -> Array:
    """The probabilities of the last axis of logits; 0 where not valid."""
    bounded = np.where(valid, logits, -np.inf)
    powers = np.exp(bounded - bounded.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def pull(genes: Indices, advantages: Array, options: int) -> Array:
    """How much the candidates speak for each option of each decision: the mean of advantages where it was taken.

    A gene that is void is no draw, and so speaks for nothing.
    """
    taken = genes[:, :, None] == np.arange(options)
    return np.tensordot(advantages, taken, 1) / len(genes)


def gradient(probabilities: Array, pulls: Array, entropy: float) -> Array:
    """By the logits: of the mean of advantage times log-likelihood, plus `entropy` times the distributions' entropy."""
    logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
    disorder = -(probabilities * logs).sum(axis=-1, keepdims=True)
    return pulls - probabilities * (pulls.sum(axis=-1, keepdims=True) + entropy * (logs + disorder))

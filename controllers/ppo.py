"""PPO: a policy that chooses each decision in view of those before it, moved in small, clipped steps."""

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np

from archfront.contracts import Constraint, Objective, WrongUse
from controllers.base import CONTROLLERS
from controllers.policy_search import Lesson, PolicySearch, active
from controllers.rewards import Array, Form
from search_spaces.decisions import INACTIVE
from search_spaces.space import Genes, SearchSpace

BARRED = -1e9
"""What is added to the logits of options that a decision doesn't have; finite, so that its product with 0 is 0."""


@CONTROLLERS.register("ppo", source="Proximal Policy Optimization Algorithms")
class PPO(PolicySearch):
    """An autoregressive network draws decision by decision; decisions that are not in force are skipped.

    A decision's hidden layer sees the sum of what the options chosen before it add, each by weights of its own, as in
    "The Neural Autoregressive Distribution Estimator"; so all decisions of a batch are learnt in one pass.

    Takes what `PolicySearch` takes, and:

    Args:
        learning_rate: of Adam.
        clip: how far the probability of an option may move, relative to what it was, by one batch of results.
        epochs: gradient steps after each batch.
        entropy: the weight of the distributions' entropy, which keeps them from being sure too soon.
        hidden: units of the hidden layer.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        learning_rate: float = 0.02,
        clip: float = 0.2,
        epochs: int = 4,
        entropy: float = 0.02,
        hidden: int = 32,
        start: int = 20,
        batch: int = 10,
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
        if learning_rate <= 0 or clip <= 0 or epochs < 1 or entropy < 0 or hidden < 1:
            raise WrongUse("ppo needs learning_rate > 0, clip > 0, epochs >= 1, entropy >= 0 and hidden >= 1")
        import torch  # takes seconds, and is needed by this controller alone

        self._torch = torch
        self._clip = clip
        self._epochs = epochs
        self._entropy = entropy
        self._barred = torch.tensor(np.where(self._valid, 0.0, BARRED), dtype=torch.float32)
        self._network = self._initial(hidden)
        self._optimiser = torch.optim.Adam(self._network.values(), learning_rate)
        self._weights = self._copied()

    def _initial(self, hidden: int) -> dict[str, Any]:
        """The weights, from a generator of their own; small at the output, so that the first draws are nearly even."""
        generator = self._torch.Generator().manual_seed(Random(f"{self.seed}/weights").randrange(2**31))
        decisions, options = self._barred.shape
        shapes = {
            "preference": ((self.reward.preferences, hidden), 0.3),
            "option": ((decisions, options, hidden), 0.3),
            "decision": ((decisions, hidden), 0.3),
            "output": ((decisions, hidden, options), 0.01),
            "bias": ((decisions, options), 0.0),
        }
        return {
            name: (scale * self._torch.randn(shape, generator=generator)).requires_grad_()
            for name, (shape, scale) in shapes.items()
        }

    def _copied(self) -> dict[str, Array]:
        return {name: weight.detach().numpy().astype(np.float64) for name, weight in self._network.items()}

    def drawn(self, preference: Array, uniform: float, rng: Random) -> Genes:
        weights = self._weights
        seen = preference @ weights["preference"]
        genes: list[int] = []
        for i, decision in enumerate(self.space.decisions):
            if not active(decision, genes):
                genes.append(INACTIVE)
                continue
            count = len(decision.options)
            logits = np.tanh(seen + weights["decision"][i]) @ weights["output"][i] + weights["bias"][i]
            powers = np.exp(logits[:count] - logits[:count].max())
            chances = (1 - uniform) * powers / powers.sum() + uniform / count
            genes.append(rng.choices(range(count), chances.tolist())[0])
            seen = seen + weights["option"][i, genes[-1]]
        return tuple(genes)

    def logs(self, preferences: Any, chosen: Any) -> Any:
        """The log-probabilities of all options, given those `chosen` before: candidates × decisions × options."""
        torch, network = self._torch, self._network
        added = torch.einsum("ndo,doh->ndh", chosen, network["option"])
        before = added.cumsum(1) - added
        seen = before + network["decision"] + (preferences @ network["preference"]).unsqueeze(1)
        logits = torch.einsum("ndh,dho->ndo", seen.tanh(), network["output"]) + network["bias"]
        return (logits + self._barred).log_softmax(-1)

    def learn(self, lessons: Sequence[Lesson]) -> None:
        torch = self._torch
        genes = np.concatenate([lesson.genes for lesson in lessons])
        gains = torch.tensor(np.concatenate([lesson.advantages for lesson in lessons]), dtype=torch.float32)
        preferences = np.concatenate([np.tile(lesson.preference, (len(lesson.genes), 1)) for lesson in lessons])
        told = torch.tensor(preferences, dtype=torch.float32)
        chosen = torch.tensor(genes[:, :, None] == np.arange(self._barred.shape[1]), dtype=torch.float32)
        with torch.no_grad():
            before = (self.logs(told, chosen) * chosen).sum(-1)
        for _ in range(self._epochs):
            loss = self.loss(self.logs(told, chosen), chosen, gains, before)
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
        self._weights = self._copied()

    def loss(self, logs: Any, chosen: Any, gains: Any, before: Any) -> Any:
        """The clipped surrogate and the entropy, per decision in force, to be made less."""
        ratio = ((logs * chosen).sum(-1) - before).exp()
        gain = gains.unsqueeze(1)
        clipped = ratio.clamp(1 - self._clip, 1 + self._clip)
        surrogate = self._torch.minimum(ratio * gain, clipped * gain)
        disorder = -(logs.exp() * logs).sum(-1)
        force = chosen.sum(-1)
        return -((surrogate + self._entropy * disorder) * force).sum() / force.sum().clamp(min=1)

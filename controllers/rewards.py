"""Rewards: one number for what a policy's candidate is worth, more being better, from objectives and constraints.

With one objective the reward is that objective. With several it is one of

- `soft`: the quality times (cost / target)^w, "MnasNet: Platform-Aware Neural Architecture Search for Mobile";
- `absolute`: the quality minus |w| · |cost / target - 1|, "Can Weight Sharing Outperform Random Architecture Search?
  An Investigation With TuNAS";
- `chebyshev`: the largest of the weighted losses, with weights that are drawn anew over and over, so that the whole
  front is worth something; "ParEGO: A Hybrid Algorithm With On-Line Landscape Approximation for Expensive
  Multiobjective Optimization Problems".

A candidate that breaks constraints pays for its excess. Policies learn from the rank of a reward among all seen so far,
which takes no notice of its unit.
"""

from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from archfront.contracts import Objective, WrongUse

Array = npt.NDArray[np.float64]
Form = Literal["", "soft", "absolute", "chebyshev"]
MNASNET = -0.07
"""MnasNet's exponent: twice the latency has to buy 5 % of the accuracy."""
AUGMENTED = 0.05
"""The share of the losses' sum in ParEGO's reward, which tells apart what ties in the largest."""


def soft(quality: Array, ratio: Array, exponent: float = MNASNET) -> Array:
    """MnasNet's reward; `ratio` is cost / target, `exponent` is below 0."""
    return quality * ratio**exponent


def absolute(quality: Array, ratio: Array, weight: float) -> Array:
    """TuNAS's absolute reward: every distance from the target costs, also one that falls short of it."""
    return quality - abs(weight) * np.abs(ratio - 1)


def chebyshev(scaled: Array, weights: Array) -> Array:
    """ParEGO's augmented Chebyshev scalarisation of losses that are scaled to about 0 … 1, as a reward."""
    weighted = scaled * weights
    return -(weighted.max(axis=-1) + AUGMENTED * weighted.sum(axis=-1))


def ranked(rewards: Array) -> Array:
    """Ranks from -1 (the least) to 1 (the most); equal rewards share theirs; 0 for a single one."""
    ordered = np.sort(rewards)
    low, high = np.searchsorted(ordered, rewards, "left"), np.searchsorted(ordered, rewards, "right")
    return (low + high - len(rewards)) / max(1, len(rewards) - 1)


@dataclass(frozen=True)
class Reward:
    """The reward of a study's candidates, from its settings.

    Args:
        objectives: the first is the quality, the others are costs, for `soft` and `absolute`.
        form: which reward; "" takes the objective itself, or with several `chebyshev`, or with a target `absolute`.
        target: of the first cost; 0 takes the median of what was seen so far, as for any further cost.
        weight: the exponent of `soft`, or what 100 % off the target costs of the quality for `absolute`; 0 takes
            MnasNet's exponent, or one standard deviation of the quality seen so far.
        penalty: what an excess of 100 % of a constraint's bound costs, in standard deviations of the reward.
    """

    objectives: tuple[Objective, ...]
    form: Form = ""
    target: float = 0.0
    weight: float = 0.0
    penalty: float = 10.0

    def __post_init__(self) -> None:
        several = len(self.objectives) > 1
        if self.form not in get_args(Form):
            raise WrongUse(f"there is no reward '{self.form}'; take soft, absolute or chebyshev")
        if self.target < 0 or self.penalty < 0:
            raise WrongUse("a reward needs target >= 0 and penalty >= 0")
        if not several and (self.form or self.target):
            raise WrongUse("a reward with a target needs two objectives or more: the quality, then costs")
        if not self.form and several:
            object.__setattr__(self, "form", "absolute" if self.target else "chebyshev")
        if self.target and self.form == "chebyshev":
            raise WrongUse("the reward chebyshev has no target; take soft or absolute")
        if self.form == "soft" and self.objectives[0].direction == "min":
            raise WrongUse("the reward soft needs a first objective that is maximised; take absolute or chebyshev")

    @property
    def preferences(self) -> int:
        """How many weights a preference has; 1 where there is nothing to prefer."""
        return len(self.objectives) if self.form == "chebyshev" else 1

    def preference(self, rng: Random) -> Array:
        """Random weights of the objectives, all equally likely."""
        drawn = np.array([rng.expovariate(1.0) for _ in range(self.preferences)]) + 1e-12
        return drawn / drawn.sum()

    def __call__(self, losses: Array, excess: Array, preference: Array, front: Array) -> Array:
        """The rewards of candidates, among each other: one row of losses and one excess each.

        A row of nan is a candidate without result, which is worth less than all others. `front` are the losses of the
        best so far, whose range `chebyshev` scales by.
        """
        known = np.isfinite(losses).all(axis=1)
        rewards = np.full(len(losses), -np.inf)
        if known.any():
            found = self._of(losses[known], preference, front)
            rewards[known] = found - self.penalty * excess[known] * (found.std() or 1.0)
        return rewards

    def _of(self, losses: Array, preference: Array, front: Array) -> Array:
        if not self.form:
            return -losses[:, 0]
        if self.form == "chebyshev":
            return chebyshev(scaled(losses, front), preference)
        quality, ratio = -losses[:, 0], self._ratio(losses)
        if self.form == "soft":
            return soft(quality, ratio, -abs(self.weight or MNASNET))
        return absolute(quality, ratio, self.weight or float(quality.std()))

    def _ratio(self, losses: Array) -> Array:
        """How many times its target the cost is: of several costs the product, of what is maximised the inverse."""
        product = np.ones(len(losses))
        for i, objective in enumerate(self.objectives[1:], 1):
            cost = np.maximum(np.abs(losses[:, i]), 1e-12)
            ratio = cost / ((self.target if i == 1 else 0.0) or float(np.median(cost)))
            product *= ratio if objective.direction == "min" else 1 / ratio
        return product


def scaled(losses: Array, front: Array) -> Array:
    """The losses with the range of the front as unit, from its ideal point; where it has none, with that of all."""
    ideal = front.min(axis=0)
    width = front.max(axis=0) - ideal
    width = np.where(width > 0, width, losses.max(axis=0) - ideal)
    return (losses - ideal) / np.where(width > 0, width, 1.0)

"""Schedules: the learning rate over a training."""

from abc import abstractmethod

from evaluators.recipes import Member
from search_spaces.families import Family

SCHEDULE = Family("schedule", __name__)


class Schedule(Member):
    """A schedule: the rate of every step, given the peak rate."""

    @abstractmethod
    def rate(self, lr: float, step: int, steps: int, warmup: float) -> float:
        """The rate of step number `step` (from 0) of a full training's `steps`.

        `lr` is the recipe's rate, `warmup` the share of all steps in which it says that the rate is to rise.
        """

    def momentum(self, step: int, steps: int) -> float | None:
        """The momentum (of Adam's kin, its first beta) in that step; None leaves it as it is."""
        return None


def warm_steps(steps: int, warmup: float) -> int:
    """In how many steps the rate rises, at least one."""
    return max(1, round(warmup * steps))

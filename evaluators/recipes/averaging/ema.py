"""The exponential moving average of weights."""

from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from evaluators.recipes.averaging import Averaging
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part(
    "averaging",
    "ema",
    source="Mean teachers are better role models: Weight-averaged consistency targets improve semi-supervised deep "
    "learning results",
)
class EMA(Averaging):
    """averaged = d averaged + (1 - d) trained after every step.

    d is `decay`, but less in the beginning, (1 + step) / (10 + step), so that short trainings forget their start.
    """

    decay: float = 0.999

    def validate(self) -> None:
        if not 0 <= self.decay < 1:
            raise SpaceError(f"must be from 0 to below 1, not {self.decay!r}", "ema.decay")

    def follow(self, averaged: list[Tensor], current: list[Tensor], step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        get_ema_multi_avg_fn(decay)(averaged, current, step)

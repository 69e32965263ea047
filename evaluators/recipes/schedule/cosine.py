"""Cosine decay."""

from math import cos, pi

from evaluators.recipes.schedule import Schedule, warm_steps
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part("schedule", "cosine", source="SGDR: Stochastic Gradient Descent with Warm Restarts")
class Cosine(Schedule):
    """Up along a line in the warm-up, then down along half a cosine to the share `floor` of the peak; no restarts."""

    floor: float = 0.01

    def validate(self) -> None:
        if not 0 <= self.floor <= 1:
            raise SpaceError(f"must be a share from 0 to 1, not {self.floor!r}", "cosine.floor")

    def rate(self, lr: float, step: int, steps: int, warmup: float) -> float:
        warm = warm_steps(steps, warmup)
        if step < warm:
            return lr * (step + 1) / warm
        progress = min(1.0, (step - warm) / max(1, steps - warm))
        return lr * (self.floor + (1 - self.floor) * 0.5 * (1 + cos(pi * progress)))

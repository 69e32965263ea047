"""Warm-up, a constant rate, and a short decay."""

from math import sqrt

from evaluators.recipes.schedule import Schedule, warm_steps
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part(
    "schedule",
    "warmup_stable_decay",
    source="Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations",
)
class WarmupStableDecay(Schedule):
    """Up along a line in the warm-up, then constant, then down to 0 in the share `decay` of all steps, by 1 - sqrt."""

    decay: float = 0.2

    def validate(self) -> None:
        if not 0 < self.decay <= 1:
            raise SpaceError(f"must be a share above 0, up to 1, not {self.decay!r}", "warmup_stable_decay.decay")

    def rate(self, lr: float, step: int, steps: int, warmup: float) -> float:
        warm = warm_steps(steps, warmup)
        if step < warm:
            return lr * (step + 1) / warm
        falling = max(1, min(steps - warm, round(self.decay * steps)))
        # The last step has a little left of the rate, so that it isn't lost.
        fallen = (step + 1 - (steps - falling)) / (falling + 1)
        return lr * (1 - sqrt(min(1.0, max(0.0, fallen))))

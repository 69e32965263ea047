"""The one-cycle policy."""

from math import cos, pi

from evaluators.recipes.schedule import Schedule
from search_spaces.errors import SpaceError
from search_spaces.parts import part

BASE, CYCLED = 0.85, 0.95
"""Momentum at the peak rate, and at both ends."""


@part(
    "schedule",
    "one_cycle",
    source="Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates",
)
class OneCycle(Schedule):
    """Up to the peak in the share `rise` of the steps, then down to nearly nothing, both along cosines.

    It begins at the peak divided by `div` and ends `final_div` times lower than that; the momentum goes the other way,
    from 0.95 to 0.85 and back. As torch's `OneCycleLR`, whose defaults these are. It has its own warm-up; that of the
    recipe isn't used.
    """

    rise: float = 0.3
    div: float = 25.0
    final_div: float = 1e4

    def validate(self) -> None:
        if not 0 < self.rise < 1:
            raise SpaceError(f"must be a share between 0 and 1, not {self.rise!r}", "one_cycle.rise")
        for name in ("div", "final_div"):
            if not getattr(self, name) >= 1:
                raise SpaceError(f"must be 1 or more, not {getattr(self, name)!r}", f"one_cycle.{name}")

    def rate(self, lr: float, step: int, steps: int, warmup: float) -> float:
        low = lr / self.div
        return self._between(step, steps, low, lr, low / self.final_div)

    def momentum(self, step: int, steps: int) -> float | None:
        return self._between(step, steps, CYCLED, BASE, CYCLED)

    def _between(self, step: int, steps: int, first: float, peak: float, last: float) -> float:
        top, end = self.rise * steps - 1, steps - 1
        if step <= top:
            return _annealed(first, peak, step / top if top > 0 else 1.0)
        return _annealed(peak, last, min(1.0, (step - top) / (end - top)) if end > top else 1.0)


def _annealed(start: float, end: float, share: float) -> float:
    """From `start` to `end` along half a cosine."""
    return end + (start - end) / 2 * (1 + cos(pi * share))

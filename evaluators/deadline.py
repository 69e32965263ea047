"""Trainings that end on time: as long, or as short, as what is left of the time allows."""

import time
from dataclasses import dataclass, field

SETTLED = 3
"""Steps after which their pace says something; the first ones are slower than those that follow."""
TESTING = 0.4
"""What it takes to test an example, relative to training on one, with a margin: no backward pass."""


@dataclass
class Deadline:
    """The steps of a training, of which there are as many as fit before `until` (this process's `time.monotonic()`).

    `total` is the number of steps of the whole training, which the schedule of the learning rate is spread over; where
    the training is `whole`, it shrinks to what fits, so that the rate has come down when time is over. A part of a
    training keeps to the schedule of the whole one, and ends after the last epoch that fits. `tested` is the number
    of batches that are tested on afterwards.
    """

    until: float | None
    total: int
    whole: bool = True
    tested: float = 0.0
    _begun: float = field(default_factory=time.monotonic)
    _steps: int = 0
    _settled: bool = False

    def __post_init__(self) -> None:
        self.most = self.total

    def took(self, step: int) -> None:
        """Step number `step` (from 0) is done."""
        self._steps += 1
        if self._steps == SETTLED and not self._settled:
            # The pace is that of the steps from here on: the first ones are slower.
            self._begun, self._steps, self._settled = time.monotonic(), 0, True
        elif self.whole and self.until is not None and self._settled:
            # In the second half it only shrinks, so that a rate that has begun to fall doesn't rise again.
            most = self.most if 2 * step < self.total else self.total
            self.total = max(step + 1, min(most, step + 1 + int(self._room(self.until))))

    def hopeless(self, epoch: int) -> bool:
        """Whether not even the first epoch of a part of a training, of so many steps, fits any more."""
        return not self.whole and self._steps + SETTLED < epoch and not self.fits(epoch - self._steps - SETTLED)

    def fits(self, steps: int) -> bool:
        """Whether so many more steps fit; True where nobody waits, or the pace isn't known yet."""
        known = self._settled and self._steps > 0
        return self.until is None or not known or steps <= self._room(self.until)

    def _room(self, until: float) -> float:
        """The steps that fit in what is left, at the pace so far, with all that steps waited for."""
        pace = (time.monotonic() - self._begun) / self._steps
        return max(0.0, until - time.monotonic() - TESTING * self.tested * pace) / pace

"""When the screening of a search ends, and when all of it does."""

import time
from dataclasses import dataclass, field

from archfront.budget.spending import END_S, Spending


@dataclass(frozen=True)
class Timetable:
    """The plan for a budget with its moments, by this process's `time.monotonic()`; `begun` is when the user asked."""

    spending: Spending
    begun: float = field(default_factory=time.monotonic)

    @property
    def ends(self) -> float:
        """When the last training is to be done."""
        return self.begun + self.spending.seconds - END_S

    @property
    def screened(self) -> float:
        """When the screening is to be done; where there are no finals it has all the time."""
        return self.ends + END_S - self.spending.finals_s if self.spending.finals else self.ends

    @property
    def room_for_one(self) -> bool:
        """Whether a typical network can still be screened in time."""
        first = self.spending.rungs[0] if self.spending.rungs else 0
        return first > 0 and time.monotonic() + 0.8 * first * self.spending.epoch_s < self.screened

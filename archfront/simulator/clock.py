"""A virtual clock and the workers that it goes by."""

import heapq
from typing import Generic, TypeVar

Job = TypeVar("Job")


class Workers(Generic[Job]):
    """Workers that take virtual seconds for a job: whichever ends first comes back first, and the clock is then there.

    Jobs that end at the same moment come back in the order in which they were begun.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.now = 0.0
        self._busy: list[tuple[float, int, Job]] = []
        self._begun = 0

    @property
    def free(self) -> int:
        """Workers without a job."""
        return self.count - len(self._busy)

    @property
    def busy(self) -> int:
        """Workers with a job."""
        return len(self._busy)

    def begin(self, job: Job, seconds: float) -> None:
        """Give a free worker a job that takes `seconds` from now."""
        if not self.free:
            raise RuntimeError("no worker is free")
        # The job itself is never compared: no two have the same number.
        heapq.heappush(self._busy, (self.now + seconds, self._begun, job))
        self._begun += 1

    def end(self) -> Job:
        """The job that ends next; the clock moves to its end."""
        self.now, _, job = heapq.heappop(self._busy)
        return job

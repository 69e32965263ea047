"""The inline launcher: every job in this process, one after the other."""

import time
from collections import deque
from collections.abc import Sequence

from archfront.launchers.base import LAUNCHERS, Done, Job, Launcher
from archfront.plan import Experiment, Plan
from archfront.watching import Activity


@LAUNCHERS.register("inline")
class InlineLauncher(Launcher):
    """No workers; the simplest to debug, and exactly reproducible."""

    parallel = False

    def __init__(self, plan: Plan, workers: int = 1, experiment: Experiment | None = None) -> None:
        super().__init__(plan, 1, experiment)
        self._queue: deque[Job] = deque()
        self._at: tuple[Job, float] | None = None
        self._detail = ""

    @property
    def capacity(self) -> int:
        return 1

    def submit(self, job: Job) -> None:
        self._queue.append(job)

    def results(self, timeout_s: float) -> Sequence[Done]:
        if not self._queue:
            return []
        job = self._queue.popleft()
        self._detail, self._at = "", (job, time.monotonic())
        try:
            done = self.experiment.work(job.evaluator, job.proposal, **job.terms(), say=self._say)
        finally:
            self._at = None
        return [Done(job, done)]

    def _say(self, text: str) -> None:
        self._detail = text

    def activities(self) -> Sequence[Activity]:
        at = self._at
        return [self.activity("this process", *at, self._detail)] if at is not None else []

    def close(self) -> None:
        self._queue.clear()
        self.experiment.close()

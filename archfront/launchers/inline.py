"""The inline launcher: every job in this process, one after the other."""

from collections import deque
from collections.abc import Sequence

from archfront.launchers.base import LAUNCHERS, Done, Job, Launcher
from archfront.plan import Experiment, Plan


@LAUNCHERS.register("inline")
class InlineLauncher(Launcher):
    """No workers; the simplest to debug, and exactly reproducible."""

    parallel = False

    def __init__(self, plan: Plan, workers: int = 1, experiment: Experiment | None = None) -> None:
        super().__init__(plan, 1, experiment)
        self._queue: deque[Job] = deque()

    @property
    def capacity(self) -> int:
        return 1

    def submit(self, job: Job) -> None:
        self._queue.append(job)

    def results(self, timeout_s: float) -> Sequence[Done]:
        if not self._queue:
            return []
        job = self._queue.popleft()
        done = self.experiment.work(job.evaluator, job.proposal, **job.terms())
        return [Done(job, done)]

    def close(self) -> None:
        self._queue.clear()
        self.experiment.close()

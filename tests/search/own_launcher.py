"""A user's launcher: what waits longest is worked on last, some jobs at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from archfront.contracts import WrongUse
from archfront.launchers.base import Done, Job, Launcher
from archfront.plan import Experiment, Plan
from controllers.base import Controller


class Stack(Launcher):
    """Takes `depth` jobs before it works on the last of them; each leaves a line in `log`."""

    def __init__(
        self, plan: Plan, workers: int = 1, experiment: Experiment | None = None, *, depth: int = 2, log: str = ""
    ) -> None:
        super().__init__(plan, workers, experiment)
        self._depth, self._log = depth, log
        self._jobs: list[Job] = []

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        if settings.get("depth", 2) < 1:
            raise WrongUse("depth is 1 or more")

    @classmethod
    def check(cls, settings: Mapping[str, Any], experiment: Experiment, controller: Controller) -> None:
        if settings.get("depth", 2) > 5 and controller.multi_fidelity:
            raise WrongUse("a deep stack keeps low fidelities waiting")

    @property
    def capacity(self) -> int:
        return self._depth

    def submit(self, job: Job) -> None:
        self._jobs.append(job)

    def results(self, timeout_s: float) -> Sequence[Done]:
        if not self._jobs:
            return []
        job = self._jobs.pop()
        if self._log:
            with Path(self._log).open("a") as file:
                file.write(f"{job.id}\n")
        return [Done(job, self.experiment.work(job.evaluator, job.proposal, job.checkpoint, job.parents))]

    def close(self) -> None:
        self._jobs.clear()


class Single(Stack):
    """One worker alone."""

    parallel = False

"""The Ray Tune launcher: trainings as Tune's trials, which Tune's own schedulers stop early or steer."""

import json
import os
import queue
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from random import Random
from typing import Any

from archfront.contracts import Artifact, Evaluation, Status, WrongUse
from archfront.launchers.base import LAUNCHERS, Done, Job
from archfront.launchers.ray import GRACE_S, TRIES, RayLauncher
from archfront.plan import Experiment, Plan
from archfront.trials.tuning import EPOCHS, Tuning
from archfront.watching import Activity
from controllers.base import Controller

TITLES = {"asha": "ASHA", "median": "the median stopping rule"}
SCHEDULE = "schedule"
"""The kind of artifact that says which hyper-parameters were in force from which epoch on."""
WAIT_S = 0.05


@LAUNCHERS.register("ray-tune")
class RayTuneLauncher(RayLauncher):
    """Ray Tune trains, one trial per candidate and a step per epoch; all other parts run as with `ray`.

    A training that Tune's scheduler stops is an outcome at the fidelity it came to. Tune's files are in a staging
    folder below the study's, which is cleared when the launcher starts and when it ends: Tune keeps nothing that the
    study doesn't have. What the schedulers have seen is lost with them; they begin anew when a study goes on.
    """

    def __init__(
        self,
        plan: Plan,
        workers: int = 1,
        experiment: Experiment | None = None,
        *,
        address: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(plan, workers, experiment, address=address)
        from archfront.trials import loop  # needs Ray

        self._tune: Any = loop
        self._tuning = Tuning.of(settings)
        self._main = next(name for name, one in self.experiment.evaluators.items() if one is self.experiment.main)
        self._epochs = self.experiment.main.epochs(self.experiment.context) or 0
        self._folder = Path(plan.folder).resolve()
        self._ranges = self._tuning.ranges(self.experiment) if self._tuning.scheduler == "pbt" else {}
        self._staging = self._folder / "ray-tune"
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(parents=True)
        objective = self._tuning.objective(self.experiment)
        about = {"plan": replace(plan, folder=str(self._folder)).to_json(), "objective": objective}
        (self._staging / "plan.json").write_text(json.dumps(about))
        self._jobs = self._tune.Jobs(max(workers, self._tuning.population) if self._ranges else workers)
        self._under_way: dict[str, Job] = {}
        self._overdue: set[str] = set()
        self._ended: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._ends = self._tune.Ends(self._take_trial, self._closed)
        self._failure: Exception | None = None
        self._loop = threading.Thread(target=self._run, daemon=True)

    @classmethod
    def accepts(cls) -> tuple[str, ...]:
        return (*(one.name for one in fields(Tuning)), "address")

    @classmethod
    def require(cls) -> None:
        try:
            import archfront.trials.loop  # noqa: F401
        except ModuleNotFoundError:
            raise WrongUse("the ray-tune launcher needs Ray; install it with: pip install 'archfront[ray]'") from None

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        Tuning.of(_tuned(settings))

    @classmethod
    def check(cls, settings: Mapping[str, Any], experiment: Experiment, controller: Controller) -> None:
        Tuning.of(_tuned(settings)).check(experiment, controller)

    @property
    def capacity(self) -> int:
        if self._ranges:
            return max(self.workers, self._tuning.population) + 1
        return self.workers + 1

    def _size(self, resource: str) -> tuple[int, int]:
        """All cores are the trials'; what runs beside them is quick."""
        return 1, 0

    def submit(self, job: Job) -> None:
        if job.evaluator != self._main:
            super().submit(job)
            return
        id = f"{job.id:06d}_{job.proposal.digest[:8]}"
        of = job.proposal
        about = {"digest": of.digest, "fidelity": of.fidelity, "number": of.number, "parents": list(job.parents)}
        about |= {"architecture": job.architecture, "checkpoint": job.checkpoint, "trained": job.trained}
        (self._staging / f"{id}.json").write_text(json.dumps(about))
        self._under_way[id] = job
        rng = Random(f"{self.plan.seed}/{of.digest}/hyper-parameters")
        recipe = {name: rng.choice(values) for name, values in self._ranges.items()}
        self._jobs.waiting.put((id, {"staging": str(self._staging), "recipe": recipe}))
        if not self._loop.is_alive() and self._failure is None:
            self._loop.start()

    def activities(self) -> Sequence[Activity]:
        found = list(super().activities())
        for number, (id, (trial, heard)) in enumerate(sorted(self._ends.seen.items()), 1):
            job = self._under_way.get(id)
            if job is not None:
                epoch = (trial.last_result or {}).get(EPOCHS, 0) + 1
                detail = f"epoch {epoch} of {job.proposal.fidelity or self._epochs}"
                found.append(self.activity(f"trial {number}", job, heard, detail))
        return found

    def results(self, timeout_s: float) -> Sequence[Done]:
        deadline = time.monotonic() + timeout_s
        while True:
            self._kill_silent()
            done = [*super().results(0.0), *self._drained()]
            if done or time.monotonic() >= deadline:
                return done
            if self._failure is not None:
                reason = " ".join(str(self._failure).split())[-300:]
                raise RuntimeError(f"Ray Tune's loop ended: {reason}; the same command goes on") from self._failure
            time.sleep(min(WAIT_S, timeout_s))

    def _kill_silent(self) -> None:
        """Kill the workers of trials that should have given up by themselves long ago."""
        limit = self.plan.timeout_s
        for trial, since in list(self._ends.seen.values()) if limit is not None else ():
            actor = trial.temporary_state.ray_actor
            if actor is not None and time.monotonic() - since > (limit or 0.0) + GRACE_S:
                trial.max_failures = 0  # not again: it would hang again
                self._overdue.add(trial.trial_id)
                self._ends.seen.pop(trial.trial_id, None)
                self._ray.kill(actor)

    def _drained(self) -> list[Done]:
        found: list[Done] = []
        while not self._ended.empty():
            found.append(self._ended.get())
        return found

    def _run(self) -> None:
        """Tune's own loop, in a thread of its own."""
        os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(self.capacity))
        self._tune.seed_all(self.plan.seed)
        direction = (self._tuning.objective(self.experiment) or "").rpartition(":")[2]
        scheduler = self._tune.scheduler(self._tuning, direction, self._epochs, self._ranges)
        try:
            self._tune.run(self._staging, self._jobs, self._ends, scheduler, self._resources(), TRIES)
        except Exception as error:
            self._failure = error

    def _resources(self) -> dict[str, int]:
        found = {"cpu": self.plan.threads}
        if self.experiment.main.resource == "gpu" and self._ray.cluster_resources().get("GPU", 0) > 0:
            found["gpu"] = 1
        return found

    def _take_trial(self, trial: Any) -> None:
        """A trial that ended becomes an outcome; its last files go from the staging folder to the study's."""
        job = self._under_way.pop(trial.trial_id, None)
        if job is None:
            return
        if self._tune.failed(trial):
            self._ended.put(Done(job, self._failed(job, trial)))
            return
        last = trial.last_result
        found = replace(Evaluation.from_json(job.proposal, json.loads(last["evaluation"])), proposal=job.proposal)
        schedule = json.loads(last["schedule"])
        if found.status is Status.OK and last[EPOCHS] < (job.proposal.fidelity or self._epochs):
            found = self._stopped(found, last[EPOCHS])
        elif found.status is Status.OK and schedule:
            found = replace(found, reason=_told(schedule))
        for artifact in found.artifacts:
            (self._folder / artifact.path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(self._staging / artifact.path, self._folder / artifact.path)
        if schedule:
            found = replace(found, artifacts=(*found.artifacts, self._kept(job, schedule)))
        if not self._ranges:
            self._clear(trial.trial_id, job)
        self._ended.put(Done(job, found))

    def _failed(self, job: Job, trial: Any) -> Evaluation:
        error = trial.get_error()
        if trial.trial_id in self._overdue:
            reason = f"{job.evaluator}: it didn't end {GRACE_S:g} s after its time limit; its worker was killed"
            return Evaluation(job.proposal, Status.TIMED_OUT, reason)
        why = " ".join(str(error).split())[-300:] if error else "no result"
        return Evaluation(job.proposal, Status.FAILED, f"{job.evaluator}: the worker died {TRIES} times ({why})")

    def _stopped(self, found: Evaluation, epochs: int) -> Evaluation:
        """The outcome at the fidelity that it was stopped at."""
        full = found.proposal.fidelity or self._epochs
        values = found.values
        metric = (self._tuning.objective(self.experiment) or "").rpartition(":")[0]
        reason = (
            f"stopped by {TITLES.get(self._tuning.scheduler, self._tuning.scheduler)} after {epochs} of {full} epochs"
        )
        reason += f", at {metric} {values[metric]:.4g}" if metric in values else ""
        return replace(found, proposal=replace(found.proposal, fidelity=epochs), reason=reason)

    def _kept(self, job: Job, schedule: list[dict[str, Any]]) -> Artifact:
        from evaluators import checkpoints

        path = self._folder / checkpoints.FOLDER / f"{job.proposal.digest}-schedule.json"
        path.write_text(json.dumps(schedule, indent=1) + "\n", encoding="utf-8")
        return checkpoints.artifact(self._folder, path, SCHEDULE)

    def _clear(self, id: str, job: Job) -> None:
        """Take what nobody needs any more from the staging folder."""
        of = job.proposal.digest
        for pattern in (f"{of}*", f"*/{of}*", f"{id}.*"):
            for path in self._staging.glob(pattern):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        self._closed.set()
        self._jobs.set_finished()
        if self._loop.is_alive():
            self._loop.join(timeout=60.0)
        super().close()
        shutil.rmtree(self._staging, ignore_errors=True)


def _tuned(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings but for the cluster's address."""
    return {key: value for key, value in settings.items() if key != "address"}


def _told(schedule: list[dict[str, Any]]) -> str:
    """The hyper-parameters that a training ended by, and whom it took them from, in one line."""
    last = schedule[-1]
    values = ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in last.items()
        if name not in ("after", "of", "weights")
    )
    taken = [
        f"after epoch {one['after']} from {one['of'][:8]}{' with its weights' if one['weights'] else ''}"
        for one in schedule
        if "of" in one
    ]
    return f"ended with {values}" + (f"; taken {', '.join(taken)}" if taken else "")


__all__ = ["RayTuneLauncher"]

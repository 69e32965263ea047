"""The Ray launcher: a pool of actors per resource that live through many evaluations."""

import json
import shutil
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archfront.contracts import Evaluation, Proposal, Status, WrongUse
from archfront.launchers.base import LAUNCHERS, Done, Job, Launcher
from archfront.plan import Experiment, Plan
from archfront.watching import NOTICES, Activity, Notice

TRIES = 3
"""How often a job is given out before the deaths of its workers are its recorded outcome."""
GRACE_S = 60.0
"""How long past its time limit a job may run before its worker is killed."""


class Worker:
    """The actor: makes its data set and evaluators once, then works on one job at a time. Only JSON goes in and out."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._experiment = Experiment(Plan.from_json(plan))

    def work(self, job: int, evaluator: str, architecture: str, ask: dict[str, Any], **terms: Any) -> dict[str, Any]:
        say = Notice(self._experiment.plan.folder, job, evaluator)
        if "data" not in vars(self._experiment) and self._experiment.plan.data:
            say("reading the data")
            _ = self._experiment.data  # kept from now on
        say("")
        proposal = Proposal(self._experiment.space.from_json(json.loads(architecture)), **ask)
        return self._experiment.work(evaluator, proposal, **terms, say=say).to_json()


@dataclass
class _Pool:
    """The actors for one resource, those of them that are free, and the jobs that wait for one."""

    actors: list[Any]
    free: deque[int]
    waiting: deque[Job]


@dataclass(frozen=True)
class _Running:
    job: Job
    pool: _Pool
    actor: int
    since: float


@LAUNCHERS.register("ray")
class RayLauncher(Launcher):
    """Actors on a Ray cluster: `workers` of them train, and one per device measures.

    Without an address a local Ray is started, and stopped in the end. A worker that dies is started anew by Ray, and
    its job is given out again, up to three times.

    Args:
        address: of the cluster to join, or `auto`; without one, Ray runs on this host alone.
    """

    def __init__(
        self, plan: Plan, workers: int = 1, experiment: Experiment | None = None, *, address: str | None = None
    ) -> None:
        super().__init__(plan, workers, experiment)
        import ray  # takes seconds, and isn't always installed

        self._ray: Any = ray
        self._started = not ray.is_initialized()
        if self._started:
            # Ray would run its workers, and the timing process below one, behind everything else on the host.
            local = {} if address else {"num_cpus": max(1, workers * plan.threads), "include_dashboard": False}
            settings = {} if address else {"_system_config": {"worker_niceness": 0}}
            _check_reachable(address)
            try:
                ray.init(address=address, log_to_driver=False, logging_level="error", **local, **settings)
            except (OSError, ValueError, RuntimeError) as error:
                where = f"join Ray at {address}" if address else "start Ray"
                raise WrongUse(f"can't {where}: {' '.join(str(error).split())[:200]}; see --set ray_address") from None
        self._pools: dict[str, _Pool] = {}
        self._running: dict[Any, _Running] = {}
        self._tries: dict[tuple[int, str], int] = {}

    @classmethod
    def require(cls) -> None:
        try:
            import ray  # noqa: F401
        except ModuleNotFoundError:
            raise WrongUse("the ray launcher needs Ray; install it with: pip install 'archfront[ray]'") from None

    @property
    def capacity(self) -> int:
        # One more than train at a time, so that nobody idles while a candidate is being timed.
        return self.workers + 1

    def submit(self, job: Job) -> None:
        if job.resource not in self._pools:
            self._pools[job.resource] = self._pool(job.resource)
        self._pools[job.resource].waiting.append(job)
        self._dispatch()

    def _pool(self, resource: str) -> _Pool:
        count, cores = self._size(resource)
        options: dict[str, Any] = {"max_restarts": -1, "num_cpus": cores}
        if resource == "gpu" and self._ray.cluster_resources().get("GPU", 0) > 0:
            options["num_gpus"] = 1
        cls = self._ray.remote(**options)(Worker)
        return _Pool([cls.remote(self.plan.to_json()) for _ in range(count)], deque(range(count)), deque())

    def _size(self, resource: str) -> tuple[int, int]:
        """How many actors there are for a resource, and how many cores each is given."""
        return (1, 0) if resource.startswith("device:") else (self.workers, self.plan.threads)

    def _dispatch(self) -> None:
        for pool in self._pools.values():
            while pool.free and pool.waiting:
                actor, job = pool.free.popleft(), pool.waiting.popleft()
                of = job.proposal
                ask = {"digest": of.digest, "fidelity": of.fidelity, "number": of.number}
                asked = job.id, job.evaluator, job.architecture, ask
                reference = pool.actors[actor].work.remote(*asked, **job.terms())
                self._running[reference] = _Running(job, pool, actor, time.monotonic())

    def results(self, timeout_s: float) -> Sequence[Done]:
        if not self._running:
            return []
        ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=timeout_s)
        done = [outcome for reference in ready if (outcome := self._take(reference)) is not None]
        self._kill_overdue()
        self._dispatch()
        return done

    def activities(self) -> Sequence[Activity]:
        found = []
        for running in list(self._running.values()):
            cpu = not running.job.resource.startswith("device:")
            worker = f"worker {running.actor + 1}" if cpu else running.job.resource.partition(":")[2]
            found.append(self.activity(worker, running.job, running.since, self._notice(running.job).read()))
        return sorted(found, key=lambda activity: activity.worker)

    def _notice(self, job: Job) -> Notice:
        return Notice(self.plan.folder, job.id, job.evaluator)

    def _take(self, reference: Any) -> Done | None:
        running = self._running.pop(reference)
        running.pool.free.append(running.actor)
        job = running.job
        self._notice(job).remove()
        try:
            return Done(job, Evaluation.from_json(job.proposal, self._ray.get(reference)))
        except self._ray.exceptions.RayActorError as error:
            key = (job.id, job.evaluator)
            self._tries[key] = self._tries.get(key, 1) + 1
            if self._tries[key] <= TRIES:
                running.pool.waiting.appendleft(job)
                time.sleep(0.2)  # Ray restarts the actor; a call at once would only hit the dead one again
                return None
            reason = f"{job.evaluator}: the worker died {TRIES} times ({' '.join(str(error).split())[:200]})"
        except self._ray.exceptions.RayError as error:
            reason = f"{job.evaluator}: {' '.join(str(error).split())[:300]}"
        return Done(job, Evaluation(job.proposal, Status.FAILED, reason))

    def _kill_overdue(self) -> None:
        limit = self.plan.timeout_s
        if limit is None:
            return
        for running in list(self._running.values()):
            if time.monotonic() - running.since > limit + GRACE_S:
                self._tries[(running.job.id, running.job.evaluator)] = TRIES  # not again: it would hang again
                self._ray.kill(running.pool.actors[running.actor], no_restart=False)

    def close(self) -> None:
        for pool in self._pools.values():
            for actor in pool.actors:
                self._ray.kill(actor)
        shutil.rmtree(Path(self.plan.folder) / NOTICES, ignore_errors=True)
        if self._started:
            self._ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Say at once what Ray itself says after minutes: that nobody answers at `host:port`."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        cure = "start one with 'ray start --head', or leave ray_address out to use this host alone"
        raise WrongUse(f"no Ray cluster answers at {address} ({error}); {cure}") from None

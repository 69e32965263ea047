"""The Ray Tune launcher: trainings as Tune's trials, which Tune's own schedulers stop early or steer."""

import json
import logging
import os
import queue
import random
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.experiment.config_parser import _create_trial_from_spec, _make_parser
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule, PopulationBasedTraining
from ray.tune.search.search_algorithm import SearchAlgorithm

from archfront.contracts import Artifact, Evaluation, Status, WrongUse
from archfront.launchers.base import LAUNCHERS, Done, Job
from archfront.launchers.epochwise import EPOCHS, SCORE, EpochwiseTraining
from archfront.launchers.ray import GRACE_S, TRIES, RayLauncher
from archfront.plan import Plan, Workshop
from controllers.base import Controller
from search_spaces.errors import near

USED: dict[str, tuple[str, ...]] = {
    "none": (),
    "asha": ("grace_epochs", "reduction"),
    "median": ("grace_epochs", "min_samples"),
    "pbt": ("grace_epochs", "population", "interval", "mutate"),
}
"""The schedulers, each with the settings that it takes."""
TITLES = {"asha": "ASHA", "median": "the median stopping rule"}
SCHEDULE = "schedule"
"""The kind of artifact that says which hyper-parameters were in force from which epoch on."""
SPREAD = 5.0
"""How far the default ranges of `mutate` reach: from the recipe's own value divided by this to its multiple."""
WAIT_S = 0.05
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # The study is what is gone on with, so Tune need not write its own state down.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
}


@dataclass(frozen=True)
class Tuning:
    """The launcher's settings.

    Args:
        scheduler: asha, median, pbt, or none.
        grace_epochs: no training is stopped, or given other hyper-parameters, before so many epochs.
        reduction: of asha: one in so many goes on from a rung, and trains so many times as long.
        min_samples: of median: so many others must have come as far before one is stopped.
        population: of pbt: so many trainings are under way at once, taking turns where there are fewer workers.
        interval: of pbt: epochs between two looks at the population.
        mutate: of pbt: fields of the recipe and where they may lie, written as for --search-recipe; by default the
            learning rate and the weight decay, from a fifth of the study's own to five times as much.
    """

    scheduler: str = "asha"
    grace_epochs: int = 1
    reduction: float = 4
    min_samples: int = 3
    population: int = 4
    interval: int = 1
    mutate: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Tuning":
        """The settings, checked; raises `WrongUse` in one line."""
        known = [one.name for one in fields(cls)]
        for key in settings:
            if key not in known:
                raise WrongUse(f"the launcher 'ray-tune' has no setting '{key}'; {near(key, known)}")
        found = cls(**settings)
        if found.scheduler not in USED:
            raise WrongUse(f"launcher.scheduler: there is no '{found.scheduler}'; {near(str(found.scheduler), USED)}")
        for key in settings:
            if key != "scheduler" and key not in USED[found.scheduler]:
                takers = ", ".join(name for name, keys in USED.items() if key in keys)
                raise WrongUse(f"launcher.{key} is a setting of the scheduler {takers}, not of '{found.scheduler}'")
        found._check_numbers()
        return found

    def _check_numbers(self) -> None:
        for name, least in (("grace_epochs", 1), ("min_samples", 1), ("population", 2), ("interval", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise WrongUse(f"launcher.{name}={value!r} must be an integer of {least} or more")
        if not isinstance(self.reduction, int | float) or not self.reduction > 1:
            raise WrongUse(f"launcher.reduction={self.reduction!r} must be a number above 1; 3 and 4 are usual")
        if not isinstance(self.mutate, Mapping):
            raise WrongUse(
                "launcher.mutate takes fields of the recipe: --set launcher.mutate.lr='log_uniform(1e-3,1e-1)'"
            )

    def check(self, workshop: Workshop, controller: Controller) -> None:
        """Raise `WrongUse` where these settings and this search don't go together; nothing is written before."""
        epochs = workshop.main.epochs(workshop.context)
        if epochs is None:
            name = workshop.plan.evaluator
            raise WrongUse(
                f"ray-tune schedules trainings, and the evaluator '{name}' has no epochs; say --launcher ray"
            )
        if self.scheduler == "none":
            return
        if controller.multi_fidelity:
            raise WrongUse(
                "this controller says itself how long a candidate is trained, so Tune must not; "
                "say --set launcher.scheduler=none, or take another --controller"
            )
        if self.objective(workshop) is None:
            metrics = ", ".join(workshop.main.metrics())
            raise WrongUse(
                f"no objective is measured by the training ({metrics}), so '{self.scheduler}' has nothing to compare; "
                "add --objective accuracy, or say --set launcher.scheduler=none"
            )
        for name in ("grace_epochs", "interval"):
            if name in USED[self.scheduler] and getattr(self, name) >= epochs:
                raise WrongUse(f"launcher.{name}={getattr(self, name)} must be below the {epochs} epochs of a training")
        if self.scheduler == "pbt":
            self.ranges(workshop)

    @staticmethod
    def objective(workshop: Workshop) -> str | None:
        """The first objective that the training measures, as the study writes it."""
        measured = workshop.main.metrics()
        return next((str(one) for one in workshop.plan.parsed_objectives if one.metric in measured), None)

    def ranges(self, workshop: Workshop) -> dict[str, list[Any]]:
        """The values that each hyper-parameter of a population may take, in order."""
        from evaluators.recipe import PartialRecipe
        from evaluators.searched_recipe import searched
        from search_spaces.parts import fields_of

        main: Any = workshop.main
        if not main.trains_by_recipe or not hasattr(main, "recipe_of"):
            raise WrongUse(f"pbt changes the recipe, by which '{workshop.plan.evaluator}' doesn't train; say asha")
        settings = workshop.plan.evaluator_settings
        if settings.get("seeds", 1) != 1 or settings.get("inherit", "") == "parent":
            raise WrongUse("pbt trains each candidate once and from scratch; leave evaluator.seeds and inherit out")
        own = getattr(getattr(workshop.space, "tree", None), "recipe", None)
        taken = {name for name in fields_of(PartialRecipe) if getattr(own, name, None) is not None}
        recipe = main.recipe(workshop.data)
        wanted = dict(self.mutate) or {
            name: f"log_uniform({value / SPREAD!r},{value * SPREAD!r})"
            for name in ("lr", "weight_decay")
            if (value := getattr(recipe, name)) > 0 and name not in taken
        }
        for name in wanted:
            if name in taken:
                raise WrongUse(f"{name} is part of the candidates (searched with them), so pbt can't change it")
            if name == "optimizer":
                raise WrongUse("launcher.mutate: the optimizer can't change within a training, its state would be lost")
        if not wanted:
            raise WrongUse("pbt has nothing to change: lr and weight_decay are searched; say --set launcher.mutate.…")
        holes = searched(wanted)
        return {name: list(getattr(holes, name).options) for name in wanted}


class _Jobs(SearchAlgorithm):
    """What Tune asks for trials: it gives it those that the search has submitted, as many as there are workers."""

    def __init__(self, at_once: int) -> None:
        self.waiting: queue.SimpleQueue[tuple[str, dict[str, Any]]] = queue.SimpleQueue()
        self._at_once = at_once
        self._live = 0
        self._parser = _make_parser()

    def add_configurations(self, experiments: Any) -> None:
        """Take over from Tune what all trials have in common."""
        self._spec = experiments[0].spec

    def next_trial(self) -> Any:
        """The next job as a trial; None while there is none."""
        if self._live >= self._at_once:
            return None
        try:
            id, config = self.waiting.get_nowait()
        except queue.Empty:
            return None
        self._live += 1
        spec = {**self._spec, "config": config}
        return _create_trial_from_spec(spec, self._parser, evaluated_params={}, experiment_tag=id, trial_id=id)

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Make room for another."""
        self._live -= 1


class _Closed(Exception):
    """The launcher was closed, and Tune's loop with it."""


class _Ends(tune.Callback):
    """Hands every trial that ended to `take`, from Tune's thread; ends its loop when the launcher is closed.

    `seen` has the trials that run, each with when it was heard of last.
    """

    def __init__(self, take: Callable[[Any], None], closed: threading.Event) -> None:
        self._take, self._closed = take, closed
        self.seen: dict[str, tuple[Any, float]] = {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Stop all trials, too, where the launcher is closed while some run."""
        if self._closed.is_set():
            raise _Closed

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker has taken it."""
        self.seen[trial.trial_id] = (trial, time.monotonic())

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
        """It has trained another epoch."""
        self.seen[trial.trial_id] = (trial, time.monotonic())

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """It was trained in full, or stopped."""
        self.seen.pop(trial.trial_id, None)
        self._take(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Its worker died once too often."""
        self.on_trial_complete(iteration, trials, trial)


@LAUNCHERS.register("ray-tune")
class RayTuneLauncher(RayLauncher):
    """Ray Tune trains, one trial per candidate and a step per epoch; all other parts run as with `ray`.

    A training that Tune's scheduler stops is an outcome at the fidelity it came to. Tune's files are on a desk below
    the study's folder, which is cleared when the launcher starts and when it ends: Tune keeps nothing that the study
    doesn't have. What the schedulers have seen is lost with them; they begin anew when a study goes on.
    """

    def __init__(
        self,
        plan: Plan,
        workers: int = 1,
        address: str | None = None,
        tuning: Tuning | None = None,
        workshop: Workshop | None = None,
    ) -> None:
        super().__init__(plan, workers, address)
        self._tuning = tuning or Tuning()
        self._workshop = workshop or Workshop(plan)
        self._main = next(name for name, one in self._workshop.evaluators.items() if one is self._workshop.main)
        self._epochs = self._workshop.main.epochs(self._workshop.context) or 0
        self._folder = Path(plan.folder).resolve()
        self._ranges = self._tuning.ranges(self._workshop) if self._tuning.scheduler == "pbt" else {}
        self._desk = self._folder / "ray-tune"
        shutil.rmtree(self._desk, ignore_errors=True)
        self._desk.mkdir(parents=True)
        objective = self._tuning.objective(self._workshop)
        about = {"plan": replace(plan, folder=str(self._folder)).to_json(), "objective": objective}
        (self._desk / "plan.json").write_text(json.dumps(about))
        self._jobs = _Jobs(max(workers, self._tuning.population) if self._ranges else workers)
        self._under_way: dict[str, Job] = {}
        self._overdue: set[str] = set()
        self._ended: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._ends = _Ends(self._take_trial, self._closed)
        self._failure: Exception | None = None
        self._loop = threading.Thread(target=self._run, daemon=True)

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
        (self._desk / f"{id}.json").write_text(json.dumps(about))
        self._under_way[id] = job
        rng = Random(f"{self.plan.seed}/{of.digest}/hyper-parameters")
        recipe = {name: rng.choice(values) for name, values in self._ranges.items()}
        self._jobs.waiting.put((id, {"desk": str(self._desk), "recipe": recipe}))
        if not self._loop.is_alive() and self._failure is None:
            self._loop.start()

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
                ray.kill(actor)

    def _drained(self) -> list[Done]:
        found: list[Done] = []
        while not self._ended.empty():
            found.append(self._ended.get())
        return found

    def _run(self) -> None:
        """Tune's own loop, in a thread of its own."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(self.capacity))
        # What fails is recorded with its reason, and shown from there.
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        # Tune's schedulers draw from the global generators.
        random.seed(self.plan.seed)
        np.random.seed(self.plan.seed)
        try:
            tune.run(
                EpochwiseTraining,
                name="trials",
                storage_path=str(self._desk),
                search_alg=self._jobs,
                scheduler=self._scheduler(),
                callbacks=[self._ends],
                resources_per_trial=self._resources(),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
                max_failures=TRIES - 1,
                num_samples=-1,
                reuse_actors=True,
                raise_on_failed_trial=False,
                trial_dirname_creator=_id,
                verbose=0,
            )
        except _Closed:
            return
        except Exception as error:
            self._failure = error

    def _resources(self) -> dict[str, int]:
        found = {"cpu": self.plan.threads}
        if self._workshop.main.resource == "gpu" and ray.cluster_resources().get("GPU", 0) > 0:
            found["gpu"] = 1
        return found

    def _scheduler(self) -> Any:
        """Tune's own scheduler."""
        of = self._tuning
        if of.scheduler == "none":
            return FIFOScheduler()
        direction = (self._tuning.objective(self._workshop) or "").rpartition(":")[2]
        common: dict[str, Any] = {"time_attr": EPOCHS, "metric": SCORE, "mode": direction}
        if of.scheduler == "asha":
            grace = of.grace_epochs
            return ASHAScheduler(**common, max_t=self._epochs, grace_period=grace, reduction_factor=of.reduction)
        if of.scheduler == "median":
            # Nobody is put off for others to catch up: an endless slice.
            slices = {"min_samples_required": of.min_samples, "min_time_slice": float("inf")}
            return MedianStoppingRule(**common, grace_period=of.grace_epochs, **slices)
        return PopulationBasedTraining(
            **common,
            perturbation_interval=of.interval,
            burn_in_period=of.grace_epochs,
            hyperparam_mutations={"recipe": self._ranges},
            log_config=False,
        )

    def _take_trial(self, trial: Any) -> None:
        """A trial that ended becomes an outcome; its last files go from the desk to the study's folder."""
        job = self._under_way.pop(trial.trial_id, None)
        if job is None:
            return
        if trial.status == Trial.ERROR or "evaluation" not in (trial.last_result or {}):
            self._ended.put(Done(job, self._failed(job, trial)))
            return
        last = trial.last_result
        found = Evaluation.from_json(job.proposal, json.loads(last["evaluation"]))
        schedule = json.loads(last["schedule"])
        if found.status is Status.OK and last[EPOCHS] < (job.proposal.fidelity or self._epochs):
            found = self._stopped(found, last[EPOCHS])
        elif found.status is Status.OK and schedule:
            found = replace(found, reason=_told(schedule))
        for artifact in found.artifacts:
            (self._folder / artifact.path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(self._desk / artifact.path, self._folder / artifact.path)
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
        metric = (self._tuning.objective(self._workshop) or "").rpartition(":")[0]
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
        """Take what nobody needs any more from the desk."""
        of = job.proposal.digest
        for pattern in (f"{of}*", f"*/{of}*", f"{id}.*"):
            for path in self._desk.glob(pattern):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        self._closed.set()
        self._jobs.set_finished()
        if self._loop.is_alive():
            self._loop.join(timeout=60.0)
        super().close()
        shutil.rmtree(self._desk, ignore_errors=True)


def _id(trial: Any) -> str:
    return str(trial.trial_id)


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


__all__ = ["RayTuneLauncher", "Tuning"]

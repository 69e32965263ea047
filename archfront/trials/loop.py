"""Ray Tune's loop over trainings: where it gets trials from, who stops them, and whom it tells what became of them."""

import logging
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.experiment.config_parser import _create_trial_from_spec, _make_parser
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule, PopulationBasedTraining
from ray.tune.search.search_algorithm import SearchAlgorithm

from archfront.trials.epochwise import EpochwiseTraining
from archfront.trials.tuning import EPOCHS, SCORE, Tuning

ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # The study is what is gone on with, so Tune need not write its own state down.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
}


class Jobs(SearchAlgorithm):
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


class Closed(Exception):
    """The launcher was closed, and Tune's loop with it."""


class Ends(tune.Callback):
    """Hands every trial that ended to `take`, from Tune's thread; ends its loop when the launcher is closed.

    `seen` has the trials that run, each with when it was heard of last.
    """

    def __init__(self, take: Callable[[Any], None], closed: threading.Event) -> None:
        self._take, self._closed = take, closed
        self.seen: dict[str, tuple[Any, float]] = {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Stop all trials, too, where the launcher is closed while some run."""
        if self._closed.is_set():
            raise Closed

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


def run(folder: Path, jobs: Jobs, ends: Ends, scheduler: Any, resources: Mapping[str, int], tries: int) -> None:
    """Tune's own loop, until the launcher is closed; its files go below `folder`."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # What fails is recorded with its reason, and shown from there.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        tune.run(
            EpochwiseTraining,
            name="trials",
            storage_path=str(folder),
            search_alg=jobs,
            scheduler=scheduler,
            callbacks=[ends],
            resources_per_trial=dict(resources),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
            max_failures=tries - 1,
            num_samples=-1,
            reuse_actors=True,
            raise_on_failed_trial=False,
            trial_dirname_creator=_id,
            verbose=0,
        )
    except Closed:
        return


def seed_all(seed: int) -> None:
    """Seed the global generators, which Tune's schedulers draw from."""
    random.seed(seed)
    np.random.seed(seed)


def scheduler(of: Tuning, direction: str, epochs: int, ranges: Mapping[str, list[Any]]) -> Any:
    """Tune's own scheduler; `direction` is that of the objective, `ranges` are a population's."""
    if of.scheduler == "none":
        return FIFOScheduler()
    common: dict[str, Any] = {"time_attr": EPOCHS, "metric": SCORE, "mode": direction}
    if of.scheduler == "asha":
        grace = of.grace_epochs
        return ASHAScheduler(**common, max_t=epochs, grace_period=grace, reduction_factor=of.reduction)
    if of.scheduler == "median":
        # Nobody is put off for others to catch up: an endless slice.
        slices = {"min_samples_required": of.min_samples, "min_time_slice": float("inf")}
        return MedianStoppingRule(**common, grace_period=of.grace_epochs, **slices)
    return PopulationBasedTraining(
        **common,
        perturbation_interval=of.interval,
        burn_in_period=of.grace_epochs,
        hyperparam_mutations={"recipe": dict(ranges)},
        log_config=False,
    )


def failed(trial: Any) -> bool:
    """Whether the trial came to nothing: its worker died too often, or it has no result."""
    return trial.status == Trial.ERROR or "evaluation" not in (trial.last_result or {})


def _id(trial: Any) -> str:
    return str(trial.trial_id)

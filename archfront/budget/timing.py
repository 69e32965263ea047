"""How long trainings take on this host: a few steps of a few networks, timed before anything is trained."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from archfront.contracts import Context, Proposal
from archfront.plan import Experiment
from evaluators.base import attempt, create
from search_spaces.errors import SpaceError

if TYPE_CHECKING:
    from evaluators.datasets import DataSet
    from evaluators.recipes.training import Recipe

NETWORKS = 5
"""As many networks are timed, where there is time for it."""
STEPS = 4
"""Steps of each; the first one isn't counted."""
PATIENCE_S = 4.0
"""After so long a network's timing ends with the step that it is at."""
TESTED = 0.35
"""What testing on an example takes, relative to training on it."""


@dataclass(frozen=True)
class Timed:
    """The seconds that an epoch of a network takes, and its tests on validation and test data; and its operations."""

    digest: str
    epoch_s: float
    tests_s: float
    macs: float = 0.0


def timed(experiment: Experiment, architectures: Sequence[Any], patience_s: float) -> list[Timed]:
    """Time the steps of networks, as many of them as the patience allows, one at least.

    Networks that can't be built or trained are left out; what is the matter with them the search will record.
    """
    data: DataSet = experiment.data
    recipe = experiment.main.recipe(data)  # type: ignore[attr-defined]
    found: list[Timed] = []
    begun = time.monotonic()
    with TemporaryDirectory(prefix="archfront-") as folder:
        for architecture in architectures:
            one = _one(experiment, architecture, recipe, data, Path(folder))
            found += [one] if one is not None else []
            if found and time.monotonic() - begun > patience_s:
                break
    return found


def _one(experiment: Experiment, architecture: Any, recipe: "Recipe", data: "DataSet", folder: Path) -> Timed | None:
    from evaluators.candidate_training import Training, threads_set
    from search_spaces.building import build

    context = Context(folder, experiment.plan.seed, experiment.plan.threads, data.inputs, data.outputs, data)
    proposal = Proposal(architecture, experiment.space.digest(architecture))
    short = replace(recipe, epochs=1, averaging=None, teacher=None, phases=())
    try:
        with threads_set(context.threads):
            model = build(architecture, data.inputs, data.outputs, context.seed)
            training = Training(model, short, data, experiment.main._device, proposal, context)  # type: ignore[attr-defined]
            step_s = statistics.median(_steps(training))
    except (SpaceError, ArithmeticError, RuntimeError, MemoryError):
        return None
    tested = (data.validation.size + data.test.size) / training.batch
    macs = attempt(create("cost"), proposal, context).values.get("macs", 0.0)
    return Timed(proposal.digest, step_s * training.batches, step_s * tested * TESTED, macs)


def _steps(training: Any) -> list[float]:
    """The seconds of some steps, without the first."""
    import torch

    from hardware_profiles import quiet

    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(training.dataset.train.size, generator=generator)
    count = min(STEPS, max(1, len(order) // training.batch))
    examples = training.feed.in_order(order[: count * training.batch], training.batch)
    training.model.train()
    took: list[float] = []
    begun = time.monotonic()
    with torch.random.fork_rng(devices=[]), training.gradients():
        for step, (inputs, targets) in enumerate(examples):
            with quiet.training_step():
                start = time.monotonic()
                training._step(inputs, targets, step, count, generator)
                took.append(time.monotonic() - start)
            if time.monotonic() - begun > PATIENCE_S:
                break
    return took[1:] or took


def drawn(experiment: Experiment, count: int = NETWORKS) -> list[Any]:
    """Random networks of the space, where nobody knows better ones to time."""
    return [experiment.space.sample(Random(f"{experiment.plan.seed}/timed/{number}")) for number in range(count)]

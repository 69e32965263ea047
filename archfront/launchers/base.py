"""What gives work to workers: the contract of a launcher, the registry of launchers, and the work itself."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any, ClassVar

from archfront.contracts import Evaluation, Proposal, WrongUse
from archfront.plan import Experiment, Plan
from archfront.watching import Activity
from controllers.base import Controller
from search_spaces.errors import near
from search_spaces.registry import Registry

LAUNCHERS: "Registry[type[Launcher]]" = Registry("launcher", "archfront.launchers")
"""All launchers by name; `path/to/file.py:Class` and entry points of `archfront.launchers` count, too."""


@dataclass(frozen=True)
class Job:
    """One part of an evaluation: which evaluator is to work on which proposal.

    `architecture` is the text of its JSON form, which is what travels. `checkpoint` is the path, relative to the
    study's folder, of the weights that the candidate left at a lower fidelity, `trained` the epochs of these,
    `parents` are those of its parents'. `until` is when the work is to be done, by the search's `time.monotonic()`;
    `final`, that its figures are those to be handed over (see `Context`).
    """

    id: int
    evaluator: str
    resource: str
    proposal: Proposal
    architecture: str
    checkpoint: str | None = None
    parents: tuple[str, ...] = ()
    trained: int = 0
    until: float | None = None
    final: bool = False

    def terms(self) -> dict[str, Any]:
        """What `Experiment.work` is told besides the proposal, as plain values, at the moment when it is sent off."""
        left = None if self.until is None else max(0.0, self.until - time.monotonic())
        when = {"seconds": left, "sent": time.time()}
        return {"checkpoint": self.checkpoint, "parents": self.parents, "final": self.final, **when}


@dataclass(frozen=True)
class Done:
    """A job and what became of it; the evaluation's proposal says a lower fidelity where a training was stopped."""

    job: Job
    evaluation: Evaluation


class Launcher(ABC):
    """Runs jobs where their resources are. Used as a context manager by one thread.

    What an implementation owes:

    - It is constructed as `cls(plan, workers, experiment, **settings)`: the experiment is this process's own, and
      settings are plain JSON values, each a keyword parameter. Wrong ones are refused by `check_settings` and `check`
      before, when nothing has been written or started yet.
    - Its module can be imported without the libraries that it needs; `require` says what is missing.
    - Every job that `submit` takes comes back from `results` once, whatever became of it: a worker that died is an
      outcome.

    Class attributes: `parallel` says that it can have more than one worker. One with a setting `address` can join a
    cluster, whose address a search knows as `ray_address`.
    """

    parallel: ClassVar[bool] = True

    def __init__(self, plan: Plan, workers: int = 1, experiment: Experiment | None = None) -> None:
        self.plan = plan
        self.workers = workers
        self.experiment = experiment or Experiment(plan)

    @classmethod
    def accepts(cls) -> tuple[str, ...]:
        """The names of the settings."""
        kinds = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
        found = [name for name, one in signature(cls).parameters.items() if one.kind in kinds]
        return tuple(name for name in found if name not in ("plan", "workers", "experiment"))

    @classmethod
    def require(cls) -> None:
        """Raise `WrongUse`, with the command that installs it, where something that it needs is missing."""
        return None

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        """Raise `WrongUse` for settings with wrong values; their names are right already."""
        return None

    @classmethod
    def check(cls, settings: Mapping[str, Any], experiment: Experiment, controller: Controller) -> None:
        """Raise `WrongUse` where these settings and this search don't go together; nothing is written before."""
        return None

    def __enter__(self) -> "Launcher":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    @abstractmethod
    def capacity(self) -> int:
        """How many evaluations to keep under way."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Take a job; it runs when its resource is free."""

    @abstractmethod
    def results(self, timeout_s: float) -> Sequence[Done]:
        """The jobs finished since the last call; waits up to `timeout_s` for one when there is none."""

    def activities(self) -> Sequence[Activity]:
        """What each worker does that isn't idle; asked for from other threads, and quick."""
        return ()

    def activity(self, worker: str, job: Job, since: float, detail: str = "") -> Activity:
        """That a worker has been at a job since a moment of the monotonic clock."""
        doing = self.experiment.evaluators[job.evaluator].doing
        return Activity(worker, doing, job.proposal.number, time.monotonic() - since, detail)

    @abstractmethod
    def close(self) -> None:
        """Stop all workers; what still runs is lost."""


def find(name: str, workers: int, settings: Mapping[str, Any]) -> type[Launcher]:
    """The launcher called `name`, for so many workers and with these settings; raises `WrongUse` where it can't be."""
    cls = LAUNCHERS.get(name)
    if not (isinstance(cls, type) and issubclass(cls, Launcher)):
        raise WrongUse(f"'{name}' is no launcher; give a class derived from archfront.launchers.base.Launcher")
    known = cls.accepts()
    for key in settings:
        if key not in known:
            raise WrongUse(f"the launcher '{name}' has no setting '{key}'; {_advice(key, known)}")
    if workers > 1 and not cls.parallel:
        raise WrongUse(f"the {name} launcher has one worker, not {workers}; say --launcher ray")
    cls.require()
    cls.check_settings(settings)
    return cls


def _advice(key: str, known: Sequence[str]) -> str:
    takers = [entry.name for entry in LAUNCHERS if key in entry.value.accepts()]
    if takers:
        return f"say --launcher {' or '.join(takers)}, or leave it out"
    return near(key, known) if known else "it takes none"


__all__ = ["LAUNCHERS", "Done", "Experiment", "Job", "Launcher", "Plan", "find"]

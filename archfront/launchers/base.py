"""What gives work to workers: the contract of a launcher, and the work itself."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from archfront.contracts import Evaluation, Proposal
from archfront.plan import Plan, Workshop
from search_spaces.registry import Registry

LAUNCHERS: "Registry[type[Launcher]]" = Registry("launcher", "archfront.launchers")


@dataclass(frozen=True)
class Job:
    """One part of an evaluation: which evaluator is to work on which proposal.

    `architecture` is the text of its JSON form, which is what travels. `checkpoint` is the path, relative to the
    study's folder, of the weights that the candidate left at a lower fidelity, `trained` the epochs of these,
    `parents` are those of its parents'.
    """

    id: int
    evaluator: str
    resource: str
    proposal: Proposal
    architecture: str
    checkpoint: str | None = None
    parents: tuple[str, ...] = ()
    trained: int = 0


@dataclass(frozen=True)
class Done:
    """A job and what became of it; the evaluation's proposal says a lower fidelity where a training was stopped."""

    job: Job
    evaluation: Evaluation


class Launcher(ABC):
    """Runs jobs where their resources are. Used as a context manager by one thread."""

    def __init__(self, plan: Plan, workers: int = 1) -> None:
        self.plan = plan
        self.workers = workers

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

    @abstractmethod
    def close(self) -> None:
        """Stop all workers; what still runs is lost."""


__all__ = ["LAUNCHERS", "Done", "Job", "Launcher", "Plan", "Workshop"]

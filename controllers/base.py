"""What every controller is: `ask` for candidates, `tell` what became of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from random import Random
from typing import Any, ClassVar

from archfront.contracts import Constraint, Evaluation, Objective, Proposal, WrongUse
from controllers.archive import Archive
from search_spaces.errors import near
from search_spaces.registry import Registry
from search_spaces.space import COUNTABLE, SearchSpace

CONTROLLERS: "Registry[type[Controller]]" = Registry("controller", "controllers")
"""Every controller, by name."""

TRIES = 200
"""How often a controller's own move may end at a known candidate before a fresh random one is taken instead."""
AT_RANDOM = ("start", "population", "population_size", "n_startup_trials")
"""Settings that say how many candidates are drawn at random before a controller uses what it has learnt."""


class Controller(ABC):
    """Proposes candidates of a space and learns from their evaluations.

    A subclass implements `propose`, and `observe` where it keeps more than the archive. It owes three things:

    - Its state is a function of (space, settings, seed, the proposals so far, the evaluations in the order told), so
      that a search resumed from the database goes on as if it had never stopped: `propose` draws from the generator
      it is given and changes nothing; all learning happens in `observe`.
    - It never proposes what was proposed before; `ask` sees to that, and gives fewer than asked for, or none, when the
      space is exhausted. One that says `multi_fidelity` may propose a candidate again at a higher fidelity.
    - It takes any number of objectives and constraints, or refuses in its constructor with one line.

    Not thread-safe: one search uses one controller.
    """

    tries: ClassVar[int] = TRIES
    """How often `propose` is called for one candidate; less than `TRIES` where a call is costly."""
    multi_fidelity: ClassVar[bool] = False
    """Whether it proposes trainings shorter than the full one."""

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
    ) -> None:
        if not objectives:
            raise WrongUse("a controller needs at least one objective; say, for example, --objective accuracy")
        self.space = space
        self.objectives = tuple(objectives)
        self.constraints = tuple(constraints)
        self.seed = seed
        self.archive = Archive(self.objectives, self.constraints)
        self.settings: dict[str, Any] = {}
        self._asked = 0
        self._architectures: dict[str, Any] = {}
        self._given: tuple[Proposal, ...] = ()

    @property
    def waiting(self) -> bool:
        """Whether results still to come may lead to proposals although `ask` has none now."""
        return False

    def set_epochs(self, epochs: int | None) -> None:
        """Say how many epochs a full evaluation has; None: evaluations know no lower fidelity. Before any `ask`."""
        return None

    def begin_with(self, architectures: Iterable[Any]) -> None:
        """Propose these before anything of its own, each once and in this order: a warm start. Before any `ask`.

        They count as proposals like any other, so also towards what a controller draws at random at its start. Raises
        `SpaceError` for an architecture that isn't in the space.
        """
        found = list(architectures)
        for architecture in found:
            self.space.genes(architecture)
        self._given = (*(self.proposal(architecture, "given") for architecture in found), *self._given)

    @abstractmethod
    def propose(self, rng: Random) -> Proposal:
        """One candidate; may be a known one (then `ask` calls again). Must not change the controller's state."""

    def observe(self, evaluation: Evaluation) -> None:
        """Learn from an evaluation; the archive has it already, if it is a full one. Failed ones come, too."""
        return None

    def proposal(self, architecture: Any, origin: str, parents: Iterable[str] = ()) -> Proposal:
        """A proposal of `architecture`, for the use of `propose`."""
        return Proposal(architecture, self.space.digest(architecture), None, tuple(parents), origin)

    def architecture(self, digest: str) -> Any:
        """The architecture of a candidate that was proposed before."""
        return self._architectures[digest]

    def ask(self, n: int = 1) -> list[Proposal]:
        """Up to `n` new candidates; an empty list says that the space is exhausted."""
        proposals: list[Proposal] = []
        for _ in range(n):
            found = self._unseen(Random(f"{self.seed}/{self._asked}"))
            if found is None:
                break
            proposals.append(replace(found, number=self._asked))
            self._remember(found)
        return proposals

    def tell(self, evaluations: Iterable[Evaluation]) -> None:
        """Learn what became of candidates, in this order."""
        for evaluation in evaluations:
            if evaluation.proposal.fidelity is None:
                self.archive.add(evaluation)
            self.observe(evaluation)

    def restore(self, proposals: Iterable[Proposal], evaluations: Iterable[Evaluation]) -> None:
        """Take over a study's history: what was asked, and what was told, each in its order."""
        for proposal in proposals:
            self._remember(proposal)
        self.tell(evaluations)

    def _remember(self, proposal: Proposal) -> None:
        self._asked += 1
        self._architectures[proposal.digest] = proposal.architecture

    def _left(self) -> Proposal | None:
        """The next of those that the search begins with."""
        return next((found for found in self._given if found.digest not in self._architectures), None)

    def _unseen(self, rng: Random) -> Proposal | None:
        given = self._left()
        if given is not None:
            return given
        for _ in range(self.tries):
            found = self.propose(rng)
            if found.digest not in self._architectures:
                return found
        for _ in range(TRIES):
            found = self.proposal(self.space.sample(rng), "random")
            if found.digest not in self._architectures:
                return found
        size = self.space.size()
        if size is not None and size <= COUNTABLE:
            for architecture in self.space.enumerate():
                found = self.proposal(architecture, "enumeration")
                if found.digest not in self._architectures:
                    return found
        return None


def create(
    name: str,
    space: SearchSpace,
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint] = (),
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> Controller:
    """The controller called `name`, or at `path/to/file.py:Name`, with its settings checked by name."""
    cls = CONTROLLERS.get(name)
    if not (isinstance(cls, type) and issubclass(cls, Controller)):
        raise WrongUse(f"'{name}' is no controller; give a class derived from controllers.Controller")
    accepted = list(signature(cls).parameters)[4:]
    for key in settings or {}:
        if key not in accepted:
            raise WrongUse(f"the controller '{name}' has no setting '{key}'; {near(key, accepted)}")
    made = cls(space, objectives, constraints, seed, **(settings or {}))
    defaults = {key: value.default for key, value in list(signature(cls).parameters.items())[4:]}
    made.settings = {**defaults, **(settings or {})}
    return made


def doubts(controller: Controller, evaluations: int | None) -> list[str]:
    """One line for each setting that makes no sense with so many evaluations."""
    return [
        f"{key} = {value} of {evaluations} evaluations: all is drawn at random; lower it by --set controller.{key}=N"
        for key, value in controller.settings.items()
        if key in AT_RANDOM and isinstance(value, int) and evaluations is not None and value >= evaluations
    ]

"""What every controller is: `ask` for candidates, `tell` what became of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from inspect import Parameter, signature
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
GIVEN = {"space": "--space", "objectives": "--objective", "constraints": "--constraint", "seed": "--seed"}
"""What every controller is constructed with besides its settings, and the option that says it."""


class Controller(ABC):
    """Proposes candidates of a space and learns from their evaluations.

    A subclass implements `propose`, and `observe` where it keeps more than the archive. It owes three things:

    - Its state is a function of (space, settings, seed, the proposals so far, the evaluations in the order told), so
      that a search resumed from the database goes on as if it had never stopped: `propose` draws from the generator
      it is given and changes nothing; all learning happens in `observe`.
    - It never proposes what was proposed before; `ask` sees to that, and gives fewer than asked for, or none, when the
      space is exhausted. One that says `multi_fidelity` may propose a candidate again at a higher fidelity.
    - It takes any number of objectives and constraints, or refuses in its constructor with one line.
    - All that it is constructed with goes by name: `space`, `objectives`, `constraints`, `seed`, and its settings.

    Not thread-safe: one search uses one controller.
    """

    tries: ClassVar[int] = TRIES
    """How often `propose` is called for one candidate; less than `TRIES` where a call is costly."""
    multi_fidelity: bool = False
    """Whether it proposes trainings shorter than the full one; set it on the instance when it depends on settings."""
    called: str = ""
    """What it was made as by `create`."""
    takes_evaluations: ClassVar[bool] = False
    """Whether it has a setting `evaluations`, which a search fills in: how many there will be, 0 where only time
    limits them."""

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
    def note(self) -> str:
        """One line that the user should read before the search, such as what was chosen for them; empty for most."""
        return ""

    @property
    def acting(self) -> "Controller":
        """Who proposes in fact: itself, unless it has picked another one."""
        return self

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

    def take(self, proposal: Proposal) -> None:
        """Count a proposal that somebody else made of a candidate of this one, as of the finals, among its own."""
        self._remember(proposal)

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
    given, accepted = dict(settings or {}), settings_of(cls)
    for key in given:
        if key in GIVEN:
            raise WrongUse(f"'{key}' is no setting of the controller '{name}'; the search says it: {GIVEN[key]}")
        if key not in accepted:
            advice = near(key, accepted) if accepted else "it takes none"
            raise WrongUse(f"the controller '{name}' has no setting '{key}'; {advice}")
    for key, parameter in accepted.items():
        if parameter.default is Parameter.empty and key not in given:
            raise WrongUse(f"the controller '{name}' needs the setting '{key}'; say --set controller.{key}=VALUE")
    made = cls(space=space, objectives=objectives, constraints=constraints, seed=seed, **given)
    made.called = name
    made.settings = {**{key: parameter.default for key, parameter in accepted.items()}, **given}
    return made


def settings_of(cls: type) -> dict[str, Parameter]:
    """The settings that a controller's class takes, by name; of one with `**kwargs`, also its base's.

    Raises `WrongUse` where its constructor can't be given everything by name.
    """
    found: dict[str, Parameter] = {}
    missing = set(GIVEN)
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = list(signature(vars(base)["__init__"]).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY):
                found.setdefault(parameter.name, parameter)
        missing -= found.keys()
        if not any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters):
            break
    if missing:
        lacks = ", ".join(sorted(missing))
        raise WrongUse(f"{cls.__name__}.__init__ must take {', '.join(GIVEN)} by name; it lacks {lacks}")
    return {key: parameter for key, parameter in found.items() if key not in GIVEN}


def doubts(controller: Controller, evaluations: int | None) -> list[str]:
    """One line for each setting that makes no sense with so many evaluations."""
    acting = controller.acting
    cure = "lower it by" if acting is controller else f"lower it by --controller {acting.called}"
    return [
        f"{key} = {value} of {evaluations} evaluations: all is drawn at random; {cure} --set controller.{key}=N"
        for key, value in acting.settings.items()
        if key in AT_RANDOM and isinstance(value, int) and evaluations is not None and value >= evaluations
    ]

"""The contract of an evaluator, the registry of evaluators, and how errors become recorded outcomes."""

import importlib
import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from math import isfinite
from typing import Any, ClassVar

from archfront.contracts import Context, Evaluation, Proposal, Status, WrongUse
from search_spaces.errors import SpaceError, near
from search_spaces.registry import Registry


class Diverged(ArithmeticError):
    """Training produced a loss or weights that aren't finite."""


class Evaluator(ABC):
    """Base of every evaluator: it turns a proposal into metrics.

    What an implementation owes:

    - It is constructed from keyword settings that are plain JSON values, and nothing else, since each worker process
      makes its own from the evaluator's name and settings. Settings are checked in `__init__`, where a wrong one
      raises `WrongUse`; reading files and loading data waits for the first `evaluate`, or for `prepare`.
    - `evaluate` is called for one proposal at a time in a process, from one thread, many times in a row. It keeps no
      state that would let an earlier proposal change the metrics of a later one: the result is a function of
      (settings, architecture, fidelity, context).
    - All randomness comes from `context.seed` together with the proposal's digest.
    - It may raise: `attempt` makes each error an outcome (`outcome_of`). It may also return an `Evaluation` whose
      status isn't `OK`, with the reason in one line.
    - It writes only below `context.folder`, and names what it leaves there as artifacts with paths relative to it.
    - It respects `context.threads` and gives up by `context.timeout_s` with `TimeoutError`.

    Class attributes: `name` as in the registry; `resource` says where it must run: "cpu", "gpu" (a GPU when there is
    one), or "device:<name>" (set it on the instance when it depends on settings); `cheap` evaluators (milliseconds) run
    first and can reject a candidate before anything is trained; `argument` is the setting that the text after the
    colon stands for in `name:text`. `network_alone` says that the metrics depend on the network alone, so that what was
    measured once stands for the same network under another recipe; `trains_by_recipe`, that candidates which bring a
    recipe of their own (`topologies.Trained`) are trained by it; `by_task`, that networks are judged by the data set's
    task, whose outputs they must give. `self_contained` says that all that is known of a
    candidate comes from this evaluator: nothing is counted or measured beside it, `latency_ms` is its metric of that
    name instead of the latency on the search's device, and whether constraints can be met is not tried beforehand.
    `default_objectives` are sought where a search names no objectives (see `objectives`). `doing` is what people read
    while one works, before "candidate 12"; `context.say` takes details.
    """

    name: ClassVar[str] = ""
    doing: ClassVar[str] = "evaluating"
    resource: str = "cpu"
    cheap: bool = False
    argument: ClassVar[str] = ""
    network_alone: ClassVar[bool] = False
    trains_by_recipe: ClassVar[bool] = False
    by_task: ClassVar[bool] = False
    self_contained: ClassVar[bool] = False
    default_objectives: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics that an `OK` evaluation carries, or may carry."""

    @abstractmethod
    def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
        """Measure the proposal's architecture at its fidelity."""

    @classmethod
    def brings(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The `space`, `data` and `data_settings` of a search with these settings that names neither; mostly none."""
        return {}

    @classmethod
    def supernet_folder(cls, settings: Mapping[str, Any]) -> str:
        """The folder of the supernet whose weights candidates are judged with; empty where there is none."""
        return ""

    def objectives(self) -> tuple[str, ...]:
        """What is sought where a search names no objectives; asked for after `suit`."""
        return self.default_objectives

    def suit(self, data: Any) -> None:
        """Look at the data set (None: there is none) before anything else, as metrics may depend on its task."""
        return None

    def narrowed(self, metrics: Sequence[str], where: str | None = None) -> "Evaluator":
        """What a search that wants these metrics uses in place of this one, where it has many more than those.

        `where` is the rule of a table's space, which leaves rows out. Raises `WrongUse` for a metric that it hasn't.
        """
        return self

    def whole(self) -> "Evaluator":
        """The evaluator with all its metrics, of which this one is `narrowed`."""
        return self

    def rule(self, where: str) -> Callable[[Any], bool]:
        """A predicate for `space.where(...)`, by what this evaluator knows of candidates; raises `WrongUse`."""
        raise WrongUse(f"--where {where} needs a table: --space table:FILE or --evaluator table:FILE")

    def epochs(self, context: Context) -> int | None:
        """The epochs of a full evaluation, of which a proposal's fidelity may ask for fewer; None: it is ignored.

        What ignores it isn't run again when a candidate is evaluated at a higher fidelity.
        """
        return None

    def identity(self) -> str:
        """What results depend on besides the settings, as the hash of a file; asked for after `prepare`."""
        return ""

    def prepare(self, context: Context) -> None:
        """Check before a search starts that evaluations can run; raises `WrongUse` with cause and cure."""
        return None

    def look_over(self, space: Any) -> None:
        """Check before a search of a space starts, after `prepare`, that it can be done; raises `WrongUse`."""
        return None

    def device(self) -> tuple[str, str, dict[str, Any]] | None:
        """The device that metrics come from: its name, fingerprint and profile; None where there is none."""
        return None

    def check_metric(self, name: str) -> None:
        """Raise `WrongUse`, with the near names, when `name` is no metric of this evaluator."""
        if name not in self.metrics():
            raise WrongUse(f"the evaluator '{self.name}' yields no metric '{name}'; {near(name, self.metrics())}")


EVALUATORS: Registry[type[Evaluator]] = Registry("evaluator", "evaluators")
"""All evaluators by name; `path/to/file.py:Class` and entry points of `archfront.evaluators` count, too."""


def parse(spec: str) -> tuple[str, dict[str, str]]:
    """Take `name`, `name:argument` or `path/to/file.py:Class` apart, into the registry's name and settings."""
    if ".py:" in spec and not spec.partition(":")[0].isidentifier():
        return spec, {}
    name, colon, text = spec.partition(":")
    if not colon:
        return name, {}
    argument = find(name).argument
    if not argument:
        raise WrongUse(f"evaluator '{spec}': '{name}' takes nothing after a colon; say just '{name}'")
    return name, {argument: text}


def find(name: str) -> type[Evaluator]:
    """The evaluator class called `name`; imports its module alone where the module has the evaluator's name."""
    if name.isidentifier() and find_spec(f"evaluators.{name}"):
        module = importlib.import_module(f"evaluators.{name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Evaluator) and value.name == name:
                return value
    found = EVALUATORS.get(name)
    if not (isinstance(found, type) and issubclass(found, Evaluator)):
        raise WrongUse(f"'{name}' is no evaluator; give a class derived from evaluators.base.Evaluator")
    return found


def create(spec: str, settings: Mapping[str, Any] | None = None) -> Evaluator:
    """The evaluator that `spec` and its settings describe; the same call makes its copy in a worker process."""
    name, given = parse(spec)
    cls = find(name)
    wanted = {**given, **(settings or {})}
    known = inspect.signature(cls).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        for key in wanted:
            if key not in known:
                raise WrongUse(f"the evaluator '{name}' has no setting '{key}'; {near(key, known)}")
    for key, parameter in known.items():
        required = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        if required and key not in wanted:
            hint = f"; say {name}:{key.upper()}" if key == cls.argument else ""
            raise WrongUse(f"the evaluator '{name}' needs the setting '{key}'{hint}")
    return cls(**wanted)


def attempt(evaluator: Evaluator, proposal: Proposal, context: Context) -> Evaluation:
    """Evaluate, with the seconds it took; every error but an interrupt becomes an outcome with its reason."""
    start = time.perf_counter()
    try:
        evaluation = checked(evaluator.evaluate(proposal, context))
    except Exception as error:
        status, reason = outcome_of(error)
        evaluation = Evaluation(proposal, status, f"{evaluator.name}: {reason}" if evaluator.name else reason)
    return replace(evaluation, seconds=time.perf_counter() - start)


def checked(evaluation: object) -> Evaluation:
    """The evaluation as it can be recorded; raises `Diverged` when one of its metrics isn't finite."""
    if not isinstance(evaluation, Evaluation):
        raise TypeError(f"evaluate() must return an Evaluation, not {type(evaluation).__name__}")
    for metric in evaluation.metrics:
        if evaluation.status is Status.OK and not isfinite(metric.value):
            raise Diverged(f"{metric.name} is {metric.value}")
    return replace(evaluation, metrics=tuple(metric for metric in evaluation.metrics if isfinite(metric.value)))


def outcome_of(error: BaseException) -> tuple[Status, str]:
    """What an error inside `evaluate` is recorded as: the status, and one line that says why."""
    reason = " ".join(str(error).split())[:500] or type(error).__name__
    if isinstance(error, MemoryError) or _torch_out_of_memory(error):
        return Status.OUT_OF_MEMORY, reason
    if isinstance(error, ArithmeticError):
        return Status.DIVERGED, reason
    if isinstance(error, TimeoutError):
        return Status.TIMED_OUT, reason
    if isinstance(error, SpaceError | NotImplementedError):
        return Status.UNSUPPORTED, reason
    return Status.FAILED, f"{type(error).__name__}: {reason}"


def _torch_out_of_memory(error: BaseException) -> bool:
    """Told by name and text, so that evaluators without torch don't load it."""
    text = str(error)
    return type(error).__name__ == "OutOfMemoryError" or (
        isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text)
    )

"""What a search begins with: given architectures, the best of another study, or the best by a cheap score."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from archfront.contracts import Constraint, Evaluation, Objective, Proposal, Status, WrongUse, judged
from archfront.plan import Experiment
from archfront.study import Database, Study
from controllers.archive import Archive, Member
from controllers.given import listed, read
from controllers.rungs import best
from evaluators.base import Evaluator, attempt, create
from search_spaces.errors import SpaceError, near
from search_spaces.parts import without_recipe
from search_spaces.space import SearchSpace

CANDIDATES, DRAWN = 10, 200
"""How many candidates a search begins with, and of how many random ones a score chooses them, unless it is said."""
STAND_INS = ("macs", "params")
"""What stands in for costs that must be measured."""
COUNTED = ("params", "macs", "activations")
"""Metrics that depend on the architecture alone: looking at them gives nothing away that is paid for."""
FORM = "say FILE.json, study:NAME[:COUNT] or proxy:METRIC[:COUNT/DRAWN], as in proxy:naswot:10/200"


@dataclass(frozen=True)
class WarmStart:
    """`FILE.json`, `study:NAME`, `study:NAME:20`, `proxy:METRIC`, `proxy:METRIC:20/500`, `proxy:METRIC:min:20/500`.

    `count` candidates are begun with; of a proxy's, that many of `drawn` random ones. A proxy is taken to be the
    higher the better unless `direction` says otherwise: more parameters promise a better network.
    """

    kind: str
    name: str
    count: int = CANDIDATES
    drawn: int = DRAWN
    direction: str = "max"

    @classmethod
    def parse(cls, text: str) -> "WarmStart":
        """What the text says; raises `WrongUse` for another form."""
        kind, colon, rest = text.partition(":")
        if kind not in ("study", "proxy") or not colon:
            if not text.endswith(".json"):
                raise WrongUse(f"--warm-start {text}: {FORM}")
            return cls("file", text)
        numbers = r"(?::(?P<count>\d+))?" if kind == "study" else r"(?::(?P<count>\d+)(?:/(?P<drawn>\d+))?)?"
        match = re.fullmatch(r"(?P<name>.+?)(?::(?P<direction>min|max))?" + numbers, rest)
        found = {key: value for key, value in (match.groupdict() if match else {}).items() if value is not None}
        count, drawn = int(found.get("count", CANDIDATES)), int(found.get("drawn", DRAWN))
        if match is None or (kind == "study" and "direction" in found):
            raise WrongUse(f"--warm-start {text}: {FORM}")
        if kind == "proxy" and "drawn" not in found:
            drawn = max(drawn, DRAWN // CANDIDATES * count)
        if count < 1 or (kind == "proxy" and drawn < count):
            raise WrongUse(f"--warm-start {text}: COUNT is 1 or more, and DRAWN no less; {FORM}")
        return cls(kind, found["name"], count, drawn, found.get("direction", "max"))


def begun_with(text: str, experiment: Experiment, study: str, database: Database | None) -> list[Any]:
    """The architectures that `--warm-start` stands for, in a search of the study that is called `study`.

    Raises `WrongUse` where there are none.
    """
    wanted = WarmStart.parse(text)
    if wanted.kind == "file":
        return read(experiment.space, listed(wanted.name))
    if wanted.kind == "study":
        if wanted.name == study:
            raise WrongUse(f"--warm-start {text}: this is the study itself; name another, or this one with --study")
        if database is None:
            raise WrongUse(f"--warm-start {text}: there is no database yet, so no study; see --db")
        return of_study(Study(database, wanted.name), wanted.count, experiment)
    plan, space = experiment.plan, experiment.space
    score = _score(text, wanted.name, experiment)
    return by_proxy(wanted, space, score, plan.parsed_objectives, plan.parsed_constraints, plan.seed)


def of_study(other: Study, count: int, experiment: Experiment) -> list[Any]:
    """Up to `count` architectures of another study that lie in this search's space: its front, then the best others.

    They are ranked by this search's objectives where the other study has them all, else by its own; what breaks this
    search's constraints comes in only where nothing keeps them.
    """
    objectives = experiment.plan.parsed_objectives
    points = other.points(objectives) or other.points()
    bounds = experiment.plan.parsed_constraints
    members = []
    for point in points:
        excess = sum(c.excess(point.values[c.metric]) for c in bounds if c.metric in point.values)
        members.append(Member(point.digest, point.losses, excess, point.number, point.values))
    found: list[Any] = []
    for member in best(members, len(members)) if members else []:
        if len(found) == count:
            break
        found += _inside(experiment.space, other.candidate(member.digest).architecture)
    if not found:
        raise WrongUse(
            f"--warm-start study:{other.name}: none of its {len(members)} candidates that could be evaluated lies in "
            f"the space '{experiment.space.name}'; name a study of this space or of one that overlaps it"
        )
    return found


def _inside(space: SearchSpace, value: Any) -> list[Any]:
    """The architecture of this JSON form, or its network without the recipe, if the space has it."""
    try:
        architecture = space.from_json(value)
    except SpaceError:
        return []
    return [one for one in (architecture, without_recipe(architecture)) if one in space][:1]


def by_proxy(
    wanted: WarmStart,
    space: SearchSpace,
    score: Callable[[Proposal], Evaluation],
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint],
    seed: int,
) -> list[Any]:
    """The best of random architectures by a score: the front of the score against all objectives that it comes with.

    `score` gives the proxy's metric and those objectives and constrained metrics that cost nothing to know. Raises
    `WrongUse` where no candidate has a score.
    """
    proxy = Objective(wanted.name, "min" if wanted.direction == "min" else "max")
    drawn = list(_drawn(space, wanted.drawn, seed))
    scored = [score(proposal) for proposal in drawn]
    known = {name for evaluation in scored for name in evaluation.values}
    archive = Archive([proxy, *_costs(objectives, known)], constraints)
    members = [member for member in map(archive.member, scored) if member is not None]
    if not members:
        reason = next((one.reason for one in scored if one.reason), "it gave no figure")
        raise WrongUse(
            f"--warm-start proxy:{wanted.name}: none of {len(drawn)} random candidates has a score ({reason}); "
            f"draw more, as in proxy:{wanted.name}:{wanted.count}/{10 * wanted.drawn}, or loosen a constraint"
        )
    architectures = {proposal.digest: proposal.architecture for proposal in drawn}
    return [architectures[member.digest] for member in best(members, wanted.count)]


def _costs(objectives: Sequence[Objective], known: set[str]) -> list[Objective]:
    """What a score is traded off against: the objectives that are known, or what stands in for them.

    Where there are costs that must be measured, such as a latency, the best by a score alone would all be large.
    """
    found = [objective for objective in objectives if objective.metric in known]
    if not found and len(objectives) > 1:
        found = [Objective(name, "min") for name in STAND_INS if name in known][:1]
    return found


def _drawn(space: SearchSpace, count: int, seed: int) -> Iterator[Proposal]:
    """Up to `count` different random candidates; fewer where the space seems to have no more."""
    rng = Random(f"{seed}/warm start")
    known: set[str] = set()
    for _ in range(10 * count):
        architecture = space.sample(rng)
        digest = space.digest(architecture)
        if digest not in known:
            known.add(digest)
            yield Proposal(architecture, digest, origin="random")
        if len(known) == count:
            return


def _score(text: str, metric: str, experiment: Experiment) -> Callable[[Proposal], Evaluation]:
    """What scores a candidate: cheap evaluators first, and no other where a constraint is broken already."""
    plan = experiment.plan
    parts = [one for one in experiment.evaluators.values() if one.cheap and one is not experiment.main]
    if not any(metric in part.metrics() for part in parts):
        parts.append(_scorer(text, metric, experiment))
    parts[-1].prepare(experiment.context)
    shown = {metric, *(name for part in parts[:-1] for name in part.metrics()), *COUNTED}

    def score(proposal: Proposal) -> Evaluation:
        found = Evaluation(proposal)
        for part in parts:
            fresh = only(attempt(part, proposal, experiment.context), shown)
            found = judged(found.joined(fresh), plan.parsed_constraints)
            if found.status is not Status.OK:
                break
        return found

    return score


def only(evaluation: Evaluation, names: set[str]) -> Evaluation:
    """The evaluation with these metrics alone: what a search pays for must not be known before."""
    return replace(evaluation, metrics=tuple(metric for metric in evaluation.metrics if metric.name in names))


def _scorer(text: str, metric: str, experiment: Experiment) -> Evaluator:
    """The evaluator that yields the metric: the search's own where that costs nothing, or a zero-cost proxy."""
    names: tuple[str, ...] = COUNTED
    if experiment.main.cheap:
        if metric == experiment.plan.parsed_objectives[0].metric:
            raise WrongUse(f"--warm-start {text}: {metric} is the objective itself; take what costs less to know")
        main = experiment.main.whole()
        if metric in main.metrics():
            return main
        names = main.metrics()
    from evaluators.zero_cost import PROXIES

    known = (*names, *PROXIES.names())
    if metric not in PROXIES.names():
        raise WrongUse(f"--warm-start {text}: nothing cheap yields '{metric}' here; {near(metric, known)}")
    if experiment.data is None:
        raise WrongUse(f"--warm-start {text}: a zero-cost proxy looks at pictures; say --data, or take another score")
    return create("zero_cost", {"proxies": [metric]})

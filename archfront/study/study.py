"""A study: one search's candidates, evaluations and measurements, as read by dashboards, reports, export and users."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from archfront.contracts import (
    Artifact,
    Constraint,
    Metric,
    Objective,
    Provenance,
    Status,
    Summary,
    WrongUse,
    feasible,
    losses,
)
from archfront.study.database import DEFAULT_URL, Database
from archfront.study.front import Point, hypervolume, nondominated
from archfront.study.lease import alive
from archfront.study.schema import artifacts, candidates, evaluations, events, measurements, parts, studies
from search_spaces.errors import near

RUNNING = "running"
"""The status of an evaluation whose result isn't recorded yet."""
STOPPED = "stopped"
"""What such an evaluation is counted as while no search is at work: the next one takes it up again."""
FINISHED = "finished"
"""The origin of candidates that finishers made of trained ones; no search has proposed them, nor is told of them."""


@dataclass(frozen=True)
class Row:
    """One evaluation of one candidate, without its details; `number` names it in the study.

    `predicted` names those of its `values` that were worked out rather than measured, `bounds` has the 95 % intervals
    of those that have one.
    """

    number: int
    digest: str
    fidelity: int
    status: str
    reason: str
    origin: str
    parents: tuple[str, ...]
    asked_at: float
    told_at: float | None
    seconds: float
    values: dict[str, float]
    predicted: frozenset[str] = frozenset()
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """Everything about one candidate: its architecture as JSON, and one row per fidelity it was evaluated at."""

    digest: str
    architecture: Any
    rows: tuple[Row, ...]
    metrics: tuple[Metric, ...]
    artifacts: tuple[Artifact, ...]
    parts: tuple[dict[str, Any], ...] = field(default=())

    @property
    def number(self) -> int:
        """The place in the study of the evaluation of the highest fidelity that has ended."""
        return self.rows[-1].number

    @property
    def values(self) -> dict[str, float]:
        """Metric values by name, of the highest fidelity."""
        return {metric.name: metric.value for metric in self.metrics}


class Study:
    """Read access to one study by name. Safe to use while a search writes to it; holds no transaction open."""

    def __init__(self, database: Database, name: str) -> None:
        self.database = database
        with database.reading() as connection:
            row = connection.execute(sa.select(studies).where(studies.c.name == name)).first()
            known = [] if row else list(connection.scalars(sa.select(studies.c.name)))
        if row is None:
            raise WrongUse(f"no study is named '{name}' in {database.url}; {near(name, known)}")
        self.id: int = row.id
        self.name: str = row.name
        self.created_at: float = row.created_at
        self.space: str = row.space
        self.fingerprint: str = row.fingerprint
        self.identity: int = row.identity
        self.settings: dict[str, Any] = row.settings
        self.objectives = tuple(Objective.parse(text) for text in row.objectives)
        self.constraints = tuple(Constraint.parse(text) for text in row.constraints)
        self.seed: int = row.seed

    @property
    def folder(self) -> Path:
        """Where this study's artifacts are; the paths of artifacts are relative to it."""
        return self.database.folder / self.name

    @property
    def data_found(self) -> list[str]:
        """What was found out about the data when the study began, a line each; it needs no data to be told."""
        return list(self.settings.get("data_found") or ())

    def counts(self) -> Counter[str]:
        """How many evaluations have which status; those under way are "stopped" while no search is at work."""
        query = (
            sa.select(evaluations.c.status, sa.func.count())
            .where(evaluations.c.study_id == self.id)
            .group_by(evaluations.c.status)
        )
        with self.database.reading() as connection:
            found = Counter({row.status: row[1] for row in connection.execute(query)})
        if found[RUNNING] and not self.running():
            found[STOPPED] = found.pop(RUNNING)
        return +found

    def last_change(self) -> float:
        """When something was last recorded, in seconds since the epoch."""
        query = sa.select(sa.func.max(evaluations.c.told_at), sa.func.max(evaluations.c.asked_at)).where(
            evaluations.c.study_id == self.id
        )
        with self.database.reading() as connection:
            return max([moment for moment in connection.execute(query).one() if moment] or [self.created_at])

    def progress(self) -> tuple[int, int]:
        """The highest numbers asked and told so far (-1: none): differs whenever the study does, costs no scan."""
        mine = evaluations.c.study_id == self.id
        with self.database.reading() as connection:
            asked = connection.scalar(sa.select(sa.func.max(evaluations.c.number)).where(mine))
            told = connection.scalar(sa.select(sa.func.max(evaluations.c.told)).where(mine))
        return -1 if asked is None else asked, -1 if told is None else told

    def running(self) -> bool:
        """Whether a search holds the study, and still lives."""
        with self.database.reading() as connection:
            row = connection.execute(
                sa.select(studies.c.token, studies.c.holder, studies.c.heartbeat).where(studies.c.id == self.id)
            ).one()
        return row.token is not None and alive(row.holder, row.heartbeat)

    def metric_names(self) -> list[str]:
        """The metrics that any candidate has, objectives first."""
        query = sa.select(measurements.c.name).join(evaluations).where(evaluations.c.study_id == self.id).distinct()
        with self.database.reading() as connection:
            found = set(connection.scalars(query))
        first = [objective.metric for objective in self.objectives if objective.metric in found]
        return first + sorted(found - set(first))

    def rows(self, since: int = 0, statuses: Sequence[str] | None = None) -> list[Row]:
        """The evaluations in the order in which they were asked for, from number `since` on."""
        where = [evaluations.c.study_id == self.id, evaluations.c.number >= since]
        if statuses is not None:
            where.append(evaluations.c.status.in_(list(statuses)))
        return self._rows(*where)

    def _rows(self, *where: Any) -> list[Row]:
        query = (
            sa.select(evaluations, candidates.c.digest).join(candidates).where(*where).order_by(evaluations.c.number)
        )
        columns = [measurements.c[name] for name in ("evaluation_id", "name", "value", "kind", "low", "high")]
        figures = sa.select(*columns).join(evaluations).join(candidates).where(*where)
        with self.database.reading() as connection:
            values: dict[int, dict[str, float]] = {}
            predicted: dict[int, set[str]] = {}
            bounds: dict[int, dict[str, tuple[float, float]]] = {}
            for evaluation, name, value, kind, low, high in connection.execute(figures):
                values.setdefault(evaluation, {})[name] = value
                if kind == "predicted":
                    predicted.setdefault(evaluation, set()).add(name)
                if low is not None and high is not None:
                    bounds.setdefault(evaluation, {})[name] = (low, high)
            return [
                _row(row, values.get(row.id, {}), frozenset(predicted.get(row.id, ())), bounds.get(row.id, {}))
                for row in connection.execute(query)
            ]

    def table(self, metrics: Sequence[str], after: int = -1) -> Sequence[sa.Row[Any]]:
        """The finished evaluations told after place `after`, in that order, with some of their metrics side by side.

        Columns: told, number, digest, fidelity, status, reason, origin, told_at, seconds, then for each of `metrics`
        its value, low, high and kind; None where an evaluation has none.
        """
        names = ("told", "number", "fidelity", "status", "reason", "origin", "told_at", "seconds")
        columns: list[Any] = [evaluations.c[name] for name in names]
        columns.insert(2, candidates.c.digest)
        source: Any = evaluations.join(candidates)
        for place, metric in enumerate(metrics):
            one = measurements.alias(f"metric_{place}")
            source = source.outerjoin(one, sa.and_(one.c.evaluation_id == evaluations.c.id, one.c.name == metric))
            columns += [one.c[name].label(f"{name}_{place}") for name in ("value", "low", "high", "kind")]
        query = (
            sa.select(*columns)
            .select_from(source)
            .where(evaluations.c.study_id == self.id, evaluations.c.told > after)
            .order_by(evaluations.c.told)
        )
        with self.database.reading() as connection:
            return connection.execute(query).all()

    def points(self, objectives: Sequence[Objective] | None = None) -> list[Point]:
        """The feasible candidates that have every objective, of full fidelity: shorter trainings don't compare."""
        objectives = objectives or self.objectives
        points = []
        for row in self.rows(statuses=[Status.OK]):
            found = losses(row.values, objectives) if not row.fidelity else None
            if found is not None and feasible(row.values, self.constraints):
                points.append(Point(row.digest, row.number, found, row.values, row.predicted, row.bounds))
        return points

    def front(self, objectives: Sequence[Objective] | None = None) -> list[Point]:
        """The points that no other dominates, best first objective first. Copies of a point's values are all kept."""
        points = self.points(objectives)
        keep = nondominated([point.losses for point in points])
        return sorted((point for point, kept in zip(points, keep, strict=True) if kept), key=lambda p: p.losses)

    def hypervolume(
        self, reference: Sequence[float] | None = None, objectives: Sequence[Objective] | None = None
    ) -> float:
        """The volume that the front dominates up to `reference` (values of the objectives); default: the worst seen."""
        objectives = objectives or self.objectives
        points = [point.losses for point in self.points(objectives)]
        bound = None
        if reference is not None:
            bound = [o.loss(value) for o, value in zip(objectives, reference, strict=True)]
        return hypervolume(points, bound)

    def candidate(self, name: str) -> Candidate:
        """A candidate by number (`12`) or by the first digits of its digest (`a3f…`, at least 4)."""
        where = [candidates.c.study_id == self.id]
        if name.isdigit() and len(name) < 8:
            where.append(evaluations.c.number == int(name))
        elif len(name) >= 4 and all(c in "0123456789abcdef" for c in name):
            where.append(candidates.c.digest.startswith(name))
        else:
            raise WrongUse(f"'{name}' is no candidate; give its number or the first digits of its digest")
        query = sa.select(candidates).join(evaluations).where(*where).distinct()
        with self.database.reading() as connection:
            found = connection.execute(query).all()
            if not found:
                raise WrongUse(
                    f"the study '{self.name}' has no candidate {name}; 'archfront front {self.name}' lists some"
                )
            if len(found) > 1:
                raise WrongUse(f"{name} fits {len(found)} candidates of '{self.name}'; give more digits")
            rows = self._rows(evaluations.c.candidate_id == found[0].id)
            # What still runs has no figures to show yet.
            rows.sort(key=lambda row: (row.told_at is not None, row.fidelity or 10**9))
            return _candidate(connection, self.id, found[0], tuple(rows))

    def events(self) -> list[tuple[float, str, str]]:
        """What happened, in order: time, kind, detail."""
        query = sa.select(events).where(events.c.study_id == self.id).order_by(events.c.id)
        with self.database.reading() as connection:
            return [(row.at, row.kind, row.detail) for row in connection.execute(query)]


def studies_in(database: Database) -> Iterator[Study]:
    """All studies of a database, oldest first."""
    with database.reading() as connection:
        names = list(connection.scalars(sa.select(studies.c.name).order_by(studies.c.id)))
    for name in names:
        yield Study(database, name)


def open_study(name: str, url: str = DEFAULT_URL, read_only: bool = True) -> Study:
    """The study called `name` in the database at `url`."""
    return Study(Database(url, read_only=read_only), name)


def _row(row: Any, values: dict[str, float], predicted: frozenset[str], bounds: dict[str, tuple[float, float]]) -> Row:
    return Row(
        row.number,
        row.digest,
        row.fidelity,
        row.status,
        row.reason,
        row.origin,
        tuple(row.parents),
        row.asked_at,
        row.told_at,
        row.seconds,
        values,
        predicted,
        bounds,
    )


def _candidate(connection: Connection, study_id: int, found: Any, rows: tuple[Row, ...]) -> Candidate:
    newest = connection.execute(
        sa.select(evaluations.c.id).where(evaluations.c.study_id == study_id, evaluations.c.number == rows[-1].number)
    ).scalar_one()
    metrics = connection.execute(
        sa.select(measurements).where(measurements.c.evaluation_id == newest).order_by(measurements.c.id)
    )
    left = connection.execute(sa.select(artifacts).where(artifacts.c.evaluation_id == newest))
    done = connection.execute(sa.select(parts).where(parts.c.evaluation_id == newest).order_by(parts.c.id))
    return Candidate(
        found.digest,
        json.loads(found.architecture),
        rows,
        tuple(read_metric(row) for row in metrics),
        tuple(Artifact(row.kind, row.path, row.sha256, row.bytes) for row in left),
        tuple({"evaluator": r.evaluator, "status": r.status, "reason": r.reason, "seconds": r.seconds} for r in done),
    )


def read_metric(row: Any) -> Metric:
    """A row of the measurements table as a metric."""
    provenance = dict(row.provenance or {})
    if "input_shape" in provenance:
        provenance["input_shape"] = tuple(provenance["input_shape"])
    return Metric(
        row.name,
        row.value,
        row.unit,
        row.kind,
        row.low,
        row.high,
        Summary(**row.summary) if row.summary else None,
        Provenance(**provenance),
    )

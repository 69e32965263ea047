"""The one writer of a study: leases it, records what is asked and told, and gives the history back."""

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from archfront.contracts import Constraint, Evaluation, Metric, Objective, Proposal, Status, WrongUse
from archfront.study.database import Database
from archfront.study.lease import alive, this_process
from archfront.study.schema import artifacts, candidates, devices, evaluations, events, measurements, parts, studies
from archfront.study.study import RUNNING, Study, read_metric
from search_spaces.canonical import IDENTITY

HEARTBEAT_S = 5.0


class LeaseLost(RuntimeError):
    """Another search has taken the study over; whatever this one still brings is not recorded."""


@dataclass(frozen=True)
class Recorded:
    """An evaluation as the study has it. The proposal holds its architecture as JSON; the space rebuilds it.

    `evaluation` holds what the finished parts gave, named in `done`; `told` is None while it is still running.
    """

    id: int
    proposal: Proposal
    evaluation: Evaluation
    done: tuple[str, ...]
    told: int | None


class StudyWriter:
    """Write access to a study. Use as a context manager: holds the lease, with a heartbeat, until it is left.

    Everything is fenced by the lease's token: what a search records after another took over raises `LeaseLost`.
    Each call is one transaction.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self._database = study.database
        self._token = secrets.token_hex(16)
        self._stop = threading.Event()
        self._beat = threading.Thread(target=self._heartbeat, daemon=True)
        self._asked = 0
        self._told = 0

    def __enter__(self) -> "StudyWriter":
        with self._database.writing() as connection:
            row = connection.execute(sa.select(studies).where(studies.c.id == self.study.id)).one()
            if row.token is not None and alive(row.holder, row.heartbeat):
                raise WrongUse(
                    f"the study '{self.study.name}' is being searched by {row.holder}; "
                    "wait for it to end, or use another --study"
                )
            connection.execute(
                sa.update(studies)
                .where(studies.c.id == self.study.id)
                .values(token=self._token, holder=this_process(), heartbeat=time.time())
            )
            # What an earlier search left unfinished is ours now; its late results no longer fit the token.
            connection.execute(
                sa.update(evaluations)
                .where(evaluations.c.study_id == self.study.id, evaluations.c.status == RUNNING)
                .values(token=self._token)
            )
            asked, told = connection.execute(
                sa.select(sa.func.max(evaluations.c.number), sa.func.max(evaluations.c.told)).where(
                    evaluations.c.study_id == self.study.id
                )
            ).one()
        self._asked = 0 if asked is None else asked + 1
        self._told = 0 if told is None else told + 1
        self._beat.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._beat.join()
        with self._database.writing() as connection:
            connection.execute(
                sa.update(studies)
                .where(studies.c.id == self.study.id, studies.c.token == self._token)
                .values(token=None, holder=None)
            )

    def _heartbeat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            try:
                with self._database.writing() as connection:
                    connection.execute(
                        sa.update(studies)
                        .where(studies.c.id == self.study.id, studies.c.token == self._token)
                        .values(heartbeat=time.time())
                    )
            except sa.exc.OperationalError:
                continue  # a busy or full disk: the next beat tries again, and the search itself reports it

    @property
    def asked(self) -> int:
        """The number that the next proposal will have."""
        return self._asked

    def ask(self, proposals: Sequence[tuple[Proposal, str]]) -> list[int]:
        """Record proposals, each with its architecture as JSON text, before they are evaluated; gives their row ids.

        A power cut may lose it, which costs nothing: the controller would propose the same again.
        """
        now = time.time()
        ids: list[int] = []
        with self._database.writing(durable=False) as connection:
            for proposal, architecture in proposals:
                row = {
                    "study_id": self.study.id,
                    "candidate_id": self._candidate(connection, proposal.digest, architecture),
                    "number": self._asked + len(ids),
                    "fidelity": proposal.fidelity or 0,
                    "origin": proposal.origin,
                    "parents": list(proposal.parents),
                    "status": RUNNING,
                    "reason": "",
                    "token": self._token,
                    "asked_at": now,
                    "seconds": 0.0,
                }
                ids.append(_inserted(connection.execute(_INSERT_EVALUATION, row)))
        self._asked += len(ids)
        return ids

    def _candidate(self, connection: Connection, digest: str, architecture: str) -> int:
        known = connection.execute(_FIND_CANDIDATE, {"study": self.study.id, "of": digest}).scalar()
        if known is None:
            row = {"study_id": self.study.id, "digest": digest, "architecture": architecture}
            known = _inserted(connection.execute(_INSERT_CANDIDATE, row))
        return int(known)

    def tell_part(self, id: int, evaluator: str, outcome: Evaluation) -> None:
        """Record one finished part of a running evaluation."""
        with self._database.writing() as connection:
            self._own(connection, id)
            self._insert_part(connection, id, evaluator, outcome)

    def tell(self, id: int, evaluation: Evaluation, evaluator: str = "", part: Evaluation | None = None) -> int:
        """Record the end of an evaluation, with its last part; gives its place in the order of results.

        Its fidelity is that of the evaluation's proposal: lower than was asked where the training was stopped early.
        """
        with self._database.writing() as connection:
            values = {
                "status": str(evaluation.status),
                "reason": evaluation.reason[:2000],
                "fidelity": evaluation.proposal.fidelity or 0,
                "told": self._told,
                "told_at": time.time(),
                "seconds": evaluation.seconds,
            }
            where = {"the_id": id, "the_token": self._token}
            if connection.execute(_END_EVALUATION, {**where, **values}).rowcount != 1:
                raise LeaseLost(f"the study '{self.study.name}' was taken over by another search")
            if part is not None:
                self._insert_part(connection, id, evaluator, part)
        self._told += 1
        return self._told - 1

    def _own(self, connection: Connection, id: int) -> None:
        found = connection.execute(_OWNED, {"the_id": id, "the_token": self._token}).scalar()
        if found is None:
            raise LeaseLost(f"the study '{self.study.name}' was taken over by another search")

    def _insert_part(self, connection: Connection, id: int, evaluator: str, outcome: Evaluation) -> None:
        row = {"evaluator": evaluator, "status": str(outcome.status), "reason": outcome.reason[:2000]}
        connection.execute(_INSERT_PART, {"evaluation_id": id, "seconds": outcome.seconds, **row})
        if outcome.metrics:
            connection.execute(_INSERT_MEASUREMENTS, [_measurement(id, metric) for metric in outcome.metrics])
        if outcome.artifacts:
            connection.execute(artifacts.insert(), [{"evaluation_id": id, **asdict(a)} for a in outcome.artifacts])

    def checkpoints(self) -> dict[str, tuple[int, str]]:
        """For each candidate with weights, its highest fidelity (0: full) and the path of those weights."""
        query = (
            sa.select(candidates.c.digest, evaluations.c.fidelity, artifacts.c.path)
            .join_from(artifacts, evaluations)
            .join(candidates)
            .where(evaluations.c.study_id == self.study.id, artifacts.c.kind == "weights")
            .order_by(evaluations.c.number)
        )
        with self._database.reading() as connection:
            return {digest: (fidelity, path) for digest, fidelity, path in connection.execute(query)}

    def respell(self, respelled: Callable[[Any], tuple[str, str]], fingerprint: str) -> None:
        """Write a study's architectures as they are written now, with the digests that go with it; all or none.

        `respelled` gives the text and digest of an architecture from its JSON form; `fingerprint` is the space's.
        """
        with self._database.writing() as connection:
            rows = connection.execute(sa.select(candidates).where(candidates.c.study_id == self.study.id)).all()
            new = {row.digest: respelled(json.loads(row.architecture)) for row in rows}
            for row in rows:
                text, digest = new[row.digest]
                connection.execute(
                    sa.update(candidates).where(candidates.c.id == row.id).values(architecture=text, digest=digest)
                )
            mine = evaluations.c.study_id == self.study.id
            for row in connection.execute(sa.select(evaluations.c.id, evaluations.c.parents).where(mine)).all():
                parents = [new[parent][1] if parent in new else parent for parent in row.parents]
                if parents != row.parents:
                    connection.execute(sa.update(evaluations).where(evaluations.c.id == row.id).values(parents=parents))
            connection.execute(
                sa.update(studies)
                .where(studies.c.id == self.study.id, studies.c.token == self._token)
                .values(identity=IDENTITY, fingerprint=fingerprint)
            )

    def event(self, kind: str, detail: str) -> None:
        """Record that something happened."""
        with self._database.writing() as connection:
            row = {"study_id": self.study.id, "at": time.time(), "kind": kind, "detail": detail}
            connection.execute(events.insert(), row)

    def device(self, name: str, fingerprint: str, profile: Mapping[str, Any]) -> None:
        """Record a device that measurements come from."""
        with self._database.writing() as connection:
            found = sa.select(devices.c.id).where(devices.c.name == name, devices.c.fingerprint == fingerprint)
            if connection.execute(found).first() is None:
                row = {"name": name, "fingerprint": fingerprint, "profile": dict(profile), "added_at": time.time()}
                connection.execute(devices.insert(), row)

    def history(self) -> list[Recorded]:
        """Every evaluation, in the order asked."""
        mine = evaluations.c.study_id == self.study.id
        asked = sa.select(evaluations, candidates.c.digest, candidates.c.architecture).join(candidates).where(mine)
        with self._database.reading() as connection:
            figures: dict[int, list[Metric]] = {}
            for row in connection.execute(sa.select(measurements).join(evaluations).where(mine)):
                figures.setdefault(row.evaluation_id, []).append(read_metric(row))
            done: dict[int, list[str]] = {}
            seconds: dict[int, float] = {}
            for row in connection.execute(sa.select(parts).join(evaluations).where(mine)):
                done.setdefault(row.evaluation_id, []).append(row.evaluator)
                seconds[row.evaluation_id] = seconds.get(row.evaluation_id, 0.0) + row.seconds
            return [
                Recorded(
                    row.id,
                    proposal := _proposal(row),
                    Evaluation(
                        proposal,
                        Status.OK if row.status == RUNNING else Status(row.status),
                        row.reason,
                        tuple(figures.get(row.id, ())),
                        row.seconds if row.told is not None else seconds.get(row.id, 0.0),
                    ),
                    tuple(done.get(row.id, ())),
                    row.told,
                )
                for row in connection.execute(asked.order_by(evaluations.c.number))
            ]


def create_study(
    database: Database,
    name: str,
    *,
    space: str,
    fingerprint: str,
    settings: Mapping[str, Any],
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint],
    seed: int,
) -> Study:
    """The study called `name`, made where there is none yet."""
    with database.writing() as connection:
        if connection.execute(sa.select(studies.c.id).where(studies.c.name == name)).first() is None:
            row = {
                "name": name,
                "created_at": time.time(),
                "space": space,
                "fingerprint": fingerprint,
                "identity": IDENTITY,
                "settings": dict(settings),
                "objectives": [str(objective) for objective in objectives],
                "constraints": [str(constraint) for constraint in constraints],
                "seed": seed,
            }
            connection.execute(studies.insert(), row)
    return Study(database, name)


_INSERT_CANDIDATE = candidates.insert()
_INSERT_EVALUATION = evaluations.insert()
_INSERT_PART = parts.insert()
_INSERT_MEASUREMENTS = measurements.insert()
_FIND_CANDIDATE = sa.select(candidates.c.id).where(
    candidates.c.study_id == sa.bindparam("study"), candidates.c.digest == sa.bindparam("of")
)
_MINE = (
    evaluations.c.id == sa.bindparam("the_id"),
    evaluations.c.token == sa.bindparam("the_token"),
    evaluations.c.status == RUNNING,
)
_OWNED = sa.select(evaluations.c.id).where(*_MINE)
_END_EVALUATION = sa.update(evaluations).where(*_MINE)


def _inserted(result: sa.CursorResult[Any]) -> int:
    key = result.inserted_primary_key
    assert key is not None  # every table here has one
    return int(key[0])


def _proposal(row: Any) -> Proposal:
    architecture = json.loads(row.architecture)
    return Proposal(architecture, row.digest, row.fidelity or None, tuple(row.parents), row.origin, row.number)


def _measurement(id: int, metric: Metric) -> dict[str, Any]:
    provenance = {key: value for key, value in asdict(metric.provenance).items() if value not in ("", None, ())}
    return {
        "evaluation_id": id,
        "name": metric.name,
        "value": metric.value,
        "unit": metric.unit,
        "kind": metric.kind,
        "low": metric.low,
        "high": metric.high,
        "summary": asdict(metric.summary) if metric.summary else None,
        "provenance": provenance or None,
    }

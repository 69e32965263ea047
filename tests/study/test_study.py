"""The study database: what is written comes back, one writer at a time, another schema is refused."""

import json
import os
import socket
import sqlite3
import threading
import time
from dataclasses import replace

import pytest
import sqlalchemy as sa

from archfront.contracts import (
    Artifact,
    Constraint,
    Evaluation,
    Metric,
    Objective,
    Proposal,
    Provenance,
    Status,
    Summary,
    WrongUse,
)
from archfront.study import Database, LeaseLost, Study, StudyWriter, create_study, open_study, studies_in
from archfront.study.front import hypervolume, nondominated
from archfront.study.schema import REVISION, metadata, studies

LATENCY = Metric(
    "latency_ms@host",
    1.5,
    "ms",
    "measured",
    1.4,
    1.6,
    Summary(100, 1.4, 1.5, 1.7, 2.0),
    Provenance("host", "onnxruntime", "1.23", "float32", 1, 1, (3, 32, 32), "abc", "interleaved-1"),
)


def make(url: str, name: str = "first") -> Study:
    return create_study(
        Database(url, create=True),
        name,
        space="hybrid",
        fingerprint="f",
        settings={"data": "digits"},
        objectives=[Objective.parse("accuracy"), Objective.parse("latency_ms@host")],
        constraints=[Constraint.parse("params<=200k")],
        seed=3,
    )


def evaluated(writer: StudyWriter, number: int, accuracy: float, latency: float, params: float = 1.0) -> Proposal:
    proposal = Proposal(None, f"{number:032x}", None, (), "random", number)
    [id] = writer.ask([(proposal, json.dumps({"part": "network/network", "depth": number}))])
    metrics = (Metric("accuracy", accuracy), replace(LATENCY, value=latency), Metric("params", params))
    outcome = Evaluation(proposal, metrics=metrics, seconds=2.0, artifacts=(Artifact("weights", "w", "0" * 64, 7),))
    writer.tell(id, outcome, "training", outcome)
    return proposal


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/study.db"


def test_what_is_recorded_comes_back(url):
    study = make(url)
    with StudyWriter(study) as writer:
        evaluated(writer, 0, 0.9, 2.0)
        writer.event("note", "hello")
        assert open_study("first", url).running()
    seen = open_study("first", url)
    assert not seen.running()
    assert (seen.seed, seen.settings, seen.objectives) == (3, {"data": "digits"}, study.objectives)
    candidate = seen.candidate("0")
    assert candidate.architecture == {"part": "network/network", "depth": 0}
    assert candidate.metrics[1] == replace(LATENCY, value=2.0)
    assert candidate.artifacts == (Artifact("weights", "w", "0" * 64, 7),)
    assert candidate.parts[0]["evaluator"] == "training"
    assert seen.candidate("0" * 31) == candidate
    assert seen.events()[-1][1:] == ("note", "hello")
    assert [s.name for s in studies_in(Database(url))] == ["first"]


def test_the_front_holds_the_feasible_points_that_nothing_dominates(url):
    study = make(url)
    with StudyWriter(study) as writer:
        for number, row in enumerate([(0.9, 2.0), (0.8, 1.0), (0.7, 1.5), (0.9, 3.0), (0.99, 0.5, 3e5)]):
            evaluated(writer, number, *row)
    assert [point.number for point in study.front()] == [0, 1]
    assert study.hypervolume((0.7, 3.0)) == pytest.approx(0.2 * 1.0 + 0.1 * 1.0)
    assert [p.number for p in study.front([Objective.parse("params")])] == [0, 1, 2, 3]


def test_predicted_figures_say_so(url):
    study = make(url)
    with StudyWriter(study) as writer:
        evaluated(writer, 0, 0.9, 2.0)
        proposal = Proposal(None, "c" * 32, number=1)
        [id] = writer.ask([(proposal, "{}")])
        metrics = (Metric("accuracy", 0.95), replace(LATENCY, kind="predicted"))
        writer.tell(id, Evaluation(proposal), "x", Evaluation(proposal, metrics=metrics))
    assert [point.predicted for point in study.front()] == [{"latency_ms@host"}]
    assert study.points()[0].predicted == frozenset()


def test_hypervolume_and_front_agree_with_counting():
    import numpy as np

    points = np.random.default_rng(0).integers(0, 12, size=(30, 3)).astype(float)
    grid = np.stack(np.meshgrid(*[np.arange(12)] * 3, indexing="ij"), -1).reshape(-1, 3)
    inside = (points[:, None, :] <= grid[None, :, :]).all(-1).any(0).sum()
    assert hypervolume(points.tolist(), [12, 12, 12]) == inside
    slow = [not any((q <= p).all() and (q < p).any() for q in points) for p in points]
    assert nondominated(points.tolist()) == slow


def test_a_writer_that_lost_its_lease_records_nothing(url):
    study = make(url)
    writer = StudyWriter(study)
    with writer:
        proposal = Proposal(None, "a" * 32, number=0)
        [id] = writer.ask([(proposal, "{}")])
        with study.database.writing() as connection:  # the first holder was silent; another host takes over
            connection.execute(sa.update(studies).values(holder="elsewhere:1:1", heartbeat=0.0))
        with StudyWriter(open_study("first", url, read_only=False)) as second:
            with pytest.raises(LeaseLost):
                writer.tell(id, Evaluation(proposal), "x", Evaluation(proposal))
            with pytest.raises(LeaseLost):
                writer.tell_part(id, "x", Evaluation(proposal))
            [record] = second.history()
            assert second.tell(record.id, Evaluation(record.proposal)) == 0
        assert study.counts() == {"ok": 1}


def test_a_living_holder_keeps_its_study(url):
    study = make(url)
    with StudyWriter(study), pytest.raises(WrongUse, match="is being searched by"), StudyWriter(study):
        pass


def test_parts_survive_and_are_not_asked_for_again(url):
    study = make(url)
    with StudyWriter(study) as writer:
        proposal = Proposal(None, "b" * 32, 3, ("a" * 32,), "mutation", 0)
        [id] = writer.ask([(proposal, '{"x": 1}')])
        writer.tell_part(id, "cost", Evaluation(proposal, metrics=(Metric("params", 5.0),), seconds=1.5))
    with StudyWriter(study) as writer:
        [record] = writer.history()
    assert (record.done, record.told, record.evaluation.status) == (("cost",), None, Status.OK)
    assert record.evaluation.values == {"params": 5.0} and record.evaluation.seconds == 1.5
    assert record.proposal == replace(proposal, architecture={"x": 1})


def test_readers_and_a_writer_do_not_hinder_each_other(url):
    study = make(url)
    errors: list[Exception] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                open_study("first", url).front()
            except Exception as error:
                errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    with StudyWriter(study) as writer:
        for reader in readers:
            reader.start()
        for number in range(60):
            evaluated(writer, number, number / 100, float(number))
        stop.set()
        for reader in readers:
            reader.join()
    assert errors == [] and len(study.front()) == 60


def test_a_read_only_database_cannot_be_written(url):
    make(url)
    with pytest.raises(sa.exc.OperationalError, match="readonly"):
        create_study(
            Database(url, read_only=True),
            "x",
            space="",
            fingerprint="",
            settings={},
            objectives=[],
            constraints=[],
            seed=0,
        )


def test_another_schema_version_is_refused_and_left_alone(tmp_path, url):
    make(url)
    file = tmp_path / "study.db"
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    for create in (True, False):
        with pytest.raises(WrongUse, match=f"schema version 0999, this Archfront knows {REVISION}"):
            Database(url, create=create)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.db").write_text("not a database, but long enough to be taken for one" * 10)
    with pytest.raises(WrongUse, match="can't be used as a study database"):
        Database(f"sqlite:///{tmp_path}/text.db")
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE t (x)")
    with pytest.raises(WrongUse, match="is no study database"):
        Database(f"sqlite:///{tmp_path}/other.db", create=True)
    with pytest.raises(WrongUse, match="no study database at"):
        Database(f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()


def test_unknown_names_are_one_line(url):
    study = make(url)
    with pytest.raises(WrongUse, match="did you mean 'first'"):
        open_study("frist", url)
    for name in ("7", "abcd", "zz"):
        with pytest.raises(WrongUse, match="candidate"):
            study.candidate(name)


def test_the_migrations_give_the_schema(tmp_path):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    database = Database(f"sqlite:///{tmp_path}/s.db", create=True)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    import archfront.study

    folder = f"{archfront.study.__path__[0]}/migrations"
    assert ScriptDirectory(folder).get_current_head() == REVISION


def test_a_study_whose_driver_died_runs_no_more(url):
    study = make(url)
    with StudyWriter(study) as writer:
        evaluated(writer, 0, 0.9, 2.0)
        writer.ask([(Proposal(None, "c" * 32, number=1), "{}")])
        assert study.running() and study.counts() == {"ok": 1, "running": 1}
        with study.database.writing() as connection:  # this process's id, but begun at another time: it is gone
            gone = f"{socket.gethostname()}:{os.getpid()}:0"
            connection.execute(sa.update(studies).values(holder=gone, heartbeat=time.time()))
        assert not study.running() and study.counts() == {"ok": 1, "stopped": 1}


def test_hypervolume_of_other_objectives(url):
    study = make(url)
    with StudyWriter(study) as writer:
        for number, (accuracy, latency, params) in enumerate([(0.9, 3.0, 10.0), (0.8, 2.0, 4.0), (0.5, 4.0, 12.0)]):
            evaluated(writer, number, accuracy, latency, params)
    wanted = [Objective.parse("accuracy"), Objective.parse("params")]
    # From the corner (0.5, 12): (0.9, 10) dominates 0.4 x 2, and (0.8, 4) another 0.3 x 6.
    assert study.hypervolume(objectives=wanted) == pytest.approx(0.4 * 2 + 0.3 * 6)
    assert study.hypervolume() == pytest.approx(0.4 * 1 + 0.3 * 1)

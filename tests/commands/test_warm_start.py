"""`archfront search --warm-start`: a file, another study, or a cheap score decides what a search begins with."""

import json
from pathlib import Path
from typing import Any

import pytest

from archfront.contracts import Evaluation, Metric, Objective, Proposal, WrongUse
from archfront.study import Study, open_study
from archfront.warm_start import WarmStart, by_proxy
from controllers.testing import GRID
from tests.commands.conftest import table_search


def begun(archfront: Any, table: Path, start: str, *more: Any, study: str = "warm", evaluations: int = 14) -> Any:
    """The rows of a study that began so."""
    words = [*table_search(table), "--study", study, "--evaluations", evaluations, "--warm-start", start, *more]
    done = archfront("search", *words)
    assert done.code == 0, done.error
    return open_study(study, "sqlite:///archfront.db").rows()


@pytest.mark.parametrize("controller", ["auto", "nsga2", "pareto-evolution", "optuna:tpe"])
def test_a_file_is_proposed_first(controller: str, archfront: Any, table: Path) -> None:
    given = [{"part": "table/row", "a": i, "b": 5 - i, "c": 2} for i in range(4)]
    Path("list.json").write_text(json.dumps(given))
    rows = begun(archfront, table, "list.json", "--controller", controller)
    assert [row.origin for row in rows].count("given") == 4 and {row.origin for row in rows[:4]} == {"given"}
    study = open_study("warm", "sqlite:///archfront.db")
    assert [study.candidate(str(i)).architecture for i in range(4)] == given


def test_another_study_gives_its_front_then_the_best_others(archfront: Any, table: Path) -> None:
    archfront("search", *table_search(table), "--study", "first", "--evaluations", 60)
    front = {point.digest for point in open_study("first", "sqlite:///archfront.db").front()}
    rows = begun(archfront, table, f"study:first:{len(front) + 3}", "--seed", 5, evaluations=len(front) + 6)
    given = [row.digest for row in rows if row.origin == "given"]
    assert len(given) == len(front) + 3 and set(given[: len(front)]) == front
    assert given == [row.digest for row in rows[: len(given)]], "they come first"


def test_of_another_space_only_what_lies_in_this_one(archfront: Any, table: Path) -> None:
    archfront("search", *table_search(table), "--study", "first", "--evaluations", 80)
    rows = begun(archfront, table, "study:first:20", "--where", "even", evaluations=25)
    given = {row.digest for row in rows if row.origin == "given"}
    first = open_study("first", "sqlite:///archfront.db")
    banned = {row.digest for row in first.rows() if sum(_values(first, row.digest)) % 2}
    assert len(given) == 20 and banned and given <= {row.digest for row in first.rows()} - banned


def _values(study: Study, digest: str) -> list[int]:
    return [study.candidate(digest).architecture[name] for name in ("a", "b", "c")]


def test_a_study_goes_on_with_the_same_though_the_file_is_gone(archfront: Any, table: Path) -> None:
    archfront("search", *table_search(table), "--study", "first", "--evaluations", 30)
    begun(archfront, table, "study:first:8", study="whole", evaluations=20)
    begun(archfront, table, "study:first:8", study="parts", evaluations=3)
    # The other study goes on, and finds better ones.
    archfront("search", "--study", "first", "--evaluations", 90)
    done = archfront("search", "--study", "parts", "--evaluations", 20)
    assert done.code == 0, done.error
    rows = [[row.digest for row in open_study(name, "sqlite:///archfront.db").rows()] for name in ("whole", "parts")]
    assert rows[0] == rows[1]
    refused = archfront("search", "--study", "parts", "--warm-start", "study:first:9", "--evaluations", 30)
    assert refused.code == 2 and "was started with warm_start = 'study:first:8'" in refused.error


@pytest.mark.parametrize("direction", ["max", "min"])
def test_a_column_as_a_proxy_chooses_among_random_candidates(direction: str, archfront: Any, table: Path) -> None:
    rows = begun(archfront, table, f"proxy:c:{direction}:5/60", evaluations=8)
    study = open_study("warm", "sqlite:///archfront.db")
    chosen = [study.candidate(row.digest).architecture for row in rows if row.origin == "given"]
    assert len(chosen) == 5
    assert {one["c"] for one in chosen} == ({5} if direction == "max" else {0})
    assert all(row.origin != "given" for row in rows[5:])


@pytest.mark.parametrize(("proxy", "score"), [("macs", "macs"), ("naswot", None)])
def test_a_proxy_against_a_cheap_objective_gives_their_front(proxy: str, score: str | None, archfront: Any) -> None:
    words = ["--data", "digits", "--epochs", 1, "--objective", "accuracy", "--objective", "params", "--evaluations", 3]
    done = archfront("search", *words, "--study", "w", "--warm-start", f"proxy:{proxy}:3/12")
    assert done.code == 0, done.error
    rows = open_study("w", "sqlite:///archfront.db").rows()
    assert [row.origin for row in rows] == ["given"] * 3
    points = [(-row.values[score], row.values["params"]) for row in rows] if score else []
    assert all(not (a[0] <= b[0] and a[1] <= b[1]) for a in points for b in points if a is not b), "none beats another"


def test_costs_that_must_be_measured_are_stood_in_for() -> None:
    every = [Proposal(a, GRID.digest(a)) for a in GRID.enumerate()]
    goals = [Objective("accuracy", "max"), Objective("latency_ms", "min")]

    def score(proposal: Proposal) -> Evaluation:
        a, b, c = proposal.architecture.values
        values = {"naswot": a + b - 0.1 * c, "macs": a * a, "params": 7.0}
        return Evaluation(proposal, metrics=tuple(Metric(name, value) for name, value in values.items()))

    wanted = WarmStart("proxy", "naswot", 6, 10 * len(every))
    chosen = by_proxy(wanted, GRID, score, goals, (), 0)
    assert sorted(one.values[:2] for one in chosen) == [(a, 5) for a in range(6)], "the front of naswot and macs"
    alone = by_proxy(wanted, GRID, score, goals[:1], (), 0)
    assert [one.values[:2] for one in alone] == [(5, 5)] * 6, "without a cost, the best by the score alone"


@pytest.mark.parametrize(
    ("start", "cause"),
    [
        ("first", "say FILE.json, study:NAME"),
        ("proxy:", "say FILE.json"),
        ("proxy:c:0/5", "COUNT is 1 or more"),
        ("proxy:c:9/5", "DRAWN no less"),
        ("study:first:max", "say FILE.json"),
        ("nowhere.json", "nowhere.json can't be read"),
        ("study:nowhere", "no study is named 'nowhere'"),
        ("study:warm", "this is the study itself"),
        ("study:other", "lies in the space"),
        ("proxy:tim", "nothing cheap yields 'tim'"),
        ("proxy:score", "is the objective itself"),
        ("proxy:naswot", "say --data"),
    ],
)
def test_wrong_input_writes_nothing(start: str, cause: str, archfront: Any, table: Path) -> None:
    other = ["--space", "cell201", "--data", "digits", "--objective", "params", "--evaluations", 1, "--epochs", 1]
    if start == "study:other":
        assert archfront("search", *other, "--study", "other").code == 0
    elif start.startswith("study:"):
        archfront("search", *table_search(table), "--study", "first", "--evaluations", 2)
    done = archfront("search", *table_search(table), "--study", "warm", "--evaluations", 9, "--warm-start", start)
    assert done.code == 2 and cause in done.error and done.error.count("\n") == 1, done.error
    assert not Path("archfront.db").exists() or '"warm"' not in archfront("studies", "--json").out


def test_the_text_says_how_many_of_how_many() -> None:
    assert WarmStart.parse("proxy:naswot") == WarmStart("proxy", "naswot", 10, 200, "max")
    assert WarmStart.parse("proxy:naswot:40") == WarmStart("proxy", "naswot", 40, 800, "max")
    assert WarmStart.parse("proxy:loss:min:3/7") == WarmStart("proxy", "loss", 3, 7, "min")
    assert WarmStart.parse("study:a.b:7").count == 7
    with pytest.raises(WrongUse, match="say FILE"):
        WarmStart.parse("proxy")


def test_controllers_are_compared_with_and_without(archfront: Any, table: Path) -> None:
    space = ["--space", f"table:{table}", "--decisions", "a,b,c", "--evaluator", f"table:{table}"]
    words = ["bench", "search", *space, "--objective", "score:max", "--evaluations", 12, "--seeds", 3, "--json"]
    found = archfront(*words, "--controllers", "random,random+warm_start=proxy:b:6/40").json
    plain, warm = (controller["runs"] for controller in found["controllers"])
    # The score is a + b - 0.1 c: of forty candidates with the largest b, the first are far better than random ones.
    assert sum(row[0] for row in warm) < sum(row[0] for row in plain)
    refused = archfront(*words, "--controllers", "random+warm_start=study:x")
    assert refused.code == 2 and "a simulation knows proxy:COLUMN" in refused.error

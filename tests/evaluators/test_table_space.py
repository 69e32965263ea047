"""A table as a search space: rows in, nothing but rows out."""

import itertools
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_spaces.errors import SpaceError
from search_spaces.table import Row, TableSpace


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture
def sparse(tmp_path: Path) -> TableSpace:
    """60 of the 4 × 4 × 4 × 4 rows."""
    every = [dict(zip("abcd", values, strict=True)) for values in itertools.product(range(4), repeat=4)]
    return TableSpace.load(write(tmp_path / "t.parquet", Random(0).sample(every, 60)), ["a", "b", "c", "d"])


def distance(left: Row, right: Row) -> int:
    return sum(a != b for a, b in zip(left.values, right.values, strict=True))


def test_enumeration_is_the_table(sparse: TableSpace) -> None:
    rows = list(sparse.enumerate())
    assert len(rows) == len(set(rows)) == sparse.size() == 60
    assert len({sparse.digest(row) for row in rows}) == 60


def test_encodings_round_trip(sparse: TableSpace) -> None:
    for row in sparse.enumerate():
        assert sparse.architecture(sparse.genes(row)) == row
        assert sparse.from_json(sparse.to_json(row)) == row
        assert sparse.key(row) == row.key()
        assert row in sparse


def test_neighbours_are_the_nearest_rows(sparse: TableSpace) -> None:
    rows = list(sparse.enumerate())
    for row in rows:
        nearest = min(distance(row, other) for other in rows if other != row)
        wanted = [other for other in rows if other != row and distance(row, other) == nearest]
        assert list(sparse.neighbours(row)) == wanted


def test_mutation_draws_every_neighbour(sparse: TableSpace) -> None:
    rng, row = Random(1), sparse.sample(3)
    assert {sparse.mutate(row, rng) for _ in range(400)} == set(sparse.neighbours(row))


def test_crossover_is_the_row_nearest_to_a_cross(sparse: TableSpace) -> None:
    rng, rows = Random(2), list(sparse.enumerate())
    mother, father = sparse.sample(1), sparse.sample(2)
    crosses = [Row(mother.columns, v) for v in itertools.product(*zip(mother.values, father.values, strict=True))]
    for _ in range(100):
        child = sparse.crossover(mother, father, rng)
        assert any(distance(child, cross) == min(distance(row, cross) for row in rows) for cross in crosses)
    assert sparse.crossover(mother, mother, rng) == mother


def test_sampling_is_uniform_and_seeded(sparse: TableSpace) -> None:
    rng = Random(0)
    drawn = [sparse.sample(rng) for _ in range(6000)]
    counts = [drawn.count(row) for row in sparse.enumerate()]
    assert min(counts) > 60 and max(counts) < 150
    assert sparse.sample(7) == sparse.sample(7)


def test_where_keeps_rows(sparse: TableSpace) -> None:
    even = sparse.where(lambda row: row.key()["a"] % 2 == 0, "even")
    assert 0 < even.size() < 60 and all(row.key()["a"] % 2 == 0 for row in even.enumerate())
    assert even.fingerprint() != sparse.fingerprint()
    with pytest.raises(SpaceError, match="nothing is left"):
        sparse.where(lambda row: False, "never")


def test_strangers_are_refused(sparse: TableSpace) -> None:
    with pytest.raises(SpaceError, match="isn't in the space"):
        sparse.genes(Row(("a", "b", "c", "d"), (9, 9, 9, 9)))
    with pytest.raises(SpaceError, match="stand for no row"):
        sparse.architecture((9, 9, 9, 9))
    with pytest.raises(SpaceError, match="whose columns are a, b, c, d"):
        sparse.from_json({"a": 1})


@pytest.mark.parametrize(
    ("decisions", "settings", "message"),
    [
        ("colour", {}, "no column 'colour'; did you mean 'color'"),
        ("", {}, "say which columns are the decisions; the table has color, size, ok, note"),
        ("color,note", {}, "'note' has empty cells"),
        ("color", {}, "1 rows .* repeat others in color"),
        ("color,size", {"where": "okay"}, "no column 'okay'; did you mean 'ok'"),
        ("color,size", {"where": "size"}, "isn't boolean"),
    ],
)
def test_wrong_columns_name_the_cure(tmp_path: Path, decisions: str, settings: dict[str, Any], message: str) -> None:
    rows = [
        {"color": "red", "size": 1, "ok": True, "note": "x"},
        {"color": "red", "size": 2, "ok": None, "note": None},
        {"color": "blue", "size": 2, "ok": False, "note": "y"},
    ]
    path = write(tmp_path / "t.parquet", rows)
    with pytest.raises(SpaceError, match=message):
        TableSpace.load(path, decisions, **settings)
    assert TableSpace.load(path, "c*,size", where="ok").size() == 1
    assert TableSpace.load(path, "color", repeats="mean").size() == 2

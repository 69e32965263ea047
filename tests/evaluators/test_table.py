"""Benchmark tables as evaluators, against the tables' own rows."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archfront.contracts import Context, Proposal, Status, WrongUse
from evaluators.base import create
from search_spaces.errors import SpaceError
from search_spaces.spaces import get_space
from search_spaces.table import Row, TableSpace

ROWS: list[dict[str, Any]] = [
    {"op": "conv", "width": 8, "run": 0, "good": True, "score": 0.5, "lat_ms": 1.0},
    {"op": "conv", "width": 16, "run": 0, "good": True, "score": 0.6, "lat_ms": 2.0},
    {"op": "pool", "width": 8, "run": 0, "good": False, "score": 0.3, "lat_ms": None},
    {"op": "pool", "width": 16, "run": 0, "good": True, "score": 0.4, "lat_ms": 0.5},
    {"op": "pool", "width": 16, "run": 1, "good": True, "score": 0.6, "lat_ms": 1.5},
]


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "table.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    return str(path)


def evaluated(file: str, key: dict[str, Any], **settings: Any) -> Any:
    evaluator = create(f"table:{file}", settings)
    row = Row(tuple(key), tuple(key.values()))
    return evaluator.evaluate(Proposal(row, "d"), Context(Path()))


def test_a_row_is_found_by_its_key(file: str) -> None:
    found = evaluated(file, {"op": "conv", "width": 16}, where="run=0", columns=["score", "lat_ms"])
    assert found.values == {"score": 0.6, "lat_ms": 2.0}
    assert [metric.unit for metric in found.metrics] == ["", "ms"]


def test_empty_cells_yield_no_metric_and_missing_rows_are_unsupported(file: str) -> None:
    assert evaluated(file, {"op": "pool", "width": 8}, repeats="mean").values.keys() == {"width", "run", "score"}
    missing = evaluated(file, {"op": "pool", "width": 32}, repeats="mean")
    assert missing.status is Status.UNSUPPORTED and "op=pool, width=32" in missing.reason


def test_repeats_are_refused_or_averaged(file: str) -> None:
    with pytest.raises(SpaceError, match=r"1 rows .* repeat others in op, width; add a column"):
        evaluated(file, {"op": "pool", "width": 16})
    found = evaluated(file, {"op": "pool", "width": 16}, repeats="mean", columns="score,lat_ms")
    assert found.values == pytest.approx({"score": 0.5, "lat_ms": 1.0})


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        ("table:nowhere.parquet", {}, "no table at nowhere.parquet"),
        ("FILE", {"columns": ["scor"]}, "no column 'scor'; did you mean 'score'"),
        ("FILE", {"columns": ["op"]}, "the column 'op' isn't numeric"),
        ("FILE", {"where": "score"}, "isn't boolean; say score=VALUE"),
        ("FILE", {"where": "op=none"}, "no row of the table is left"),
    ],
)
def test_wrong_use_names_the_cure(file: str, spec: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongUse, match=message):
        create(f"table:{file}" if spec == "FILE" else spec, settings)


def test_metrics_are_checked_with_the_near_names(file: str) -> None:
    evaluator = create(f"table:{file}")
    evaluator.check_metric("score")
    with pytest.raises(WrongUse, match="no numeric column 'scores'; did you mean 'score'"):
        evaluator.check_metric("scores")


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("hello")
    with pytest.raises(WrongUse, match="can't be read as Parquet"):
        create(f"table:{tmp_path / 'x.parquet'}")


def test_every_cell_of_nasbench201_against_the_file(shared_data: Path) -> None:
    path = shared_data / "tables" / "nasbench201_dev.parquet"
    evaluator: Any = create(f"table:{path}", {"columns": ["lat_pixel3_ms", "cifar10_halftrain_test_acc_ep200"]})
    wanted = {row["arch_str"]: row for row in pq.read_table(path).to_pylist()}
    space, context = get_space("cell201"), Context(Path())
    connected = evaluator.rule("connected")
    for seed in range(300):
        cell = space.sample(seed)
        row = wanted[cell.arch_str]
        values = evaluator.evaluate(Proposal(cell, ""), context).values
        assert values == {name: row[name] for name in evaluator.metrics()}
        assert connected(cell) is row["connected"]


def test_connected_bans_cells(shared_data: Path) -> None:
    path = shared_data / "tables" / "nasbench201_dev.parquet"
    evaluator: Any = create(f"table:{path}")
    space: Any = get_space("cell201")
    banned = space.where(evaluator.rule("connected"), "connected")
    table = TableSpace.load(path, "op_*", where="connected")
    kept = sum(pq.read_table(path, columns=["connected"]).column(0).to_pylist())
    assert banned.size() == table.size() == kept < space.size() == 15_625

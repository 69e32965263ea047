"""`archfront front`, `show`, `studies`, `report`, `export`, `measure`, `dashboard` on a finished study."""

import socket
from pathlib import Path
from typing import Any

import pytest


def test_front_in_other_objectives(archfront: Any, searched: str) -> None:
    best = archfront("front", searched, "--objectives", "time:min", "--json").json
    times = [point["metrics"]["time"] for point in archfront("front", searched, "--json").json]
    assert {point["metrics"]["time"] for point in best} == {min(times)}
    table = archfront("front", searched)
    assert "front of" in table.out and "40 ok" in table.out
    wrong = archfront("front", searched, "--objectives", "tme:min")
    assert wrong.code == 2 and "did you mean 'time'" in wrong.error


def test_show_by_number_and_digest(archfront: Any, searched: str) -> None:
    by_number = archfront("show", searched, 3, "--json").json
    by_digest = archfront("show", searched, by_number["digest"][:10], "--json").json
    assert by_number == by_digest
    assert {metric["name"] for metric in by_number["metrics"]} >= {"score", "time"}
    text = archfront("show", searched, 3).out
    assert f"candidate 3 of {searched}" in text and "small.parquet" in text


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["front", "smal"], "did you mean 'small'"),
        (["show", "small", "999"], "no candidate 999"),
        (["show", "small", "zzz"], "no candidate"),
        (["export", "small"], "no trained weights"),
        (["export", "small", "--candidate", "999"], "no candidate 999"),
        (["report", "nothing"], "no study is named 'nothing'"),
        (["report", "small", "--to", "nowhere/r.html"], "no folder nowhere"),
        (["measure", "model.onnx"], "no model file model.onnx"),
        (["measure", "model.onnx", "--device", "hots"], "did you mean 'host'"),
        (["studies", "--db", "other.db"], "no study database at other.db"),
        (["studies", "--db", "foo://x"], "foo"),
        (["dashboard", "--db", "other.db"], "no study database at other.db"),
    ],
)
def test_wrong_input(words: list[str], cause: str, archfront: Any, searched: str) -> None:
    before = sorted(Path().rglob("*"))
    done = archfront(*words)
    assert done.code == 2 and done.out == ""
    assert done.error.startswith("error: ") and done.error.count("\n") == 1
    assert cause in done.error
    assert [path for path in sorted(Path().rglob("*")) if path not in before and "-shm" not in path.name] == []


def test_report_is_one_file(archfront: Any, searched: str) -> None:
    done = archfront("report", searched)
    assert done.code == 0, done.error
    text = Path("small.html").read_text()
    assert "small" in text and 'src="http' not in text


def test_dashboard_says_that_its_port_is_in_use(archfront: Any, searched: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = archfront("dashboard", "--port", taken.getsockname()[1])
    assert done.code == 2 and "in use" in done.error and "--port" in done.error


def test_not_a_study_database(archfront: Any) -> None:
    Path("notes.db").write_text("this is no database, but a text of some length " * 20)
    done = archfront("studies", "--db", "notes.db")
    assert done.code == 2 and "notes.db" in done.error


def test_front_fits_the_window(archfront: Any, searched: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = archfront("front", searched, "--objectives", "score:max,time:min").out
    assert "digest" in wide
    monkeypatch.setenv("COLUMNS", "30")
    narrow = archfront("front", searched, "--objectives", "score:max,time:min").out.splitlines()
    table = [line for line in narrow if not line.startswith("front of")]
    assert table[0].split()[-2:] == ["score", "time"] and max(map(len, table)) <= 30


def test_front_says_the_hypervolume_of_the_objectives_it_shows(archfront: Any, searched: str) -> None:
    own, other = (
        archfront("front", searched, *words).out.rpartition("hypervolume ")[2].partition(";")[0]
        for words in ([], ["--objectives", "score:max"])
    )
    assert own != other

"""A small table to search, and the command line as a function."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archfront.commands import run


@dataclass
class Outcome:
    """What one command did."""

    code: int
    out: str
    error: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document."""
        return json.loads(self.out)


Command = Callable[..., Outcome]


@pytest.fixture
def archfront(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["pytest"])
    # No line that comes by the clock alone, while a search may still be refused: what is printed is always the same.
    monkeypatch.setattr("archfront.commands.progress.FIRST_S", 3600.0)

    def command(*words: object) -> Outcome:
        capsys.readouterr()
        code = run([str(word) for word in words])
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return command


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark of 216 networks: two figures that oppose each other, and a column that bans half of them."""
    rows = [(a, b, c) for a in range(6) for b in range(6) for c in range(6)]
    columns = {
        "a": [a for a, _, _ in rows],
        "b": [b for _, b, _ in rows],
        "c": [c for _, _, c in rows],
        "score": [a + b - 0.1 * c for a, b, c in rows],
        "time": [0.5 * a * a + b + c for a, b, c in rows],
        "even": [(a + b + c) % 2 == 0 for a, b, c in rows],
    }
    file = tmp_path_factory.mktemp("tables") / "small.parquet"
    pq.write_table(pa.table(columns), file)
    return file


@pytest.fixture
def searched(archfront: Command, table: Path) -> str:
    """The name of a finished study of the table in `archfront.db`."""
    done = archfront("search", *table_search(table), "--study", "small", "--evaluations", 40)
    assert done.code == 0, done.error
    return "small"


def table_search(table: Path) -> list[str]:
    """The options of a search of the table."""
    return [
        *("--space", f"table:{table}", "--decisions", "a,b,c", "--evaluator", f"table:{table}"),
        *("--objective", "score:max", "--objective", "time:min"),
    ]

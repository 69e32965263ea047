"""A benchmark table as a search space: its architectures are the rows, its decisions some of the columns."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from search_spaces.decisions import Decision
from search_spaces.errors import SpaceError, near
from search_spaces.space import Genes, SearchSpace, Uniform

Repeats = Literal["error", "mean"]
"""What to do with rows that are equal in all decisions: refuse them, or take them as one whose figures average."""
PART = "table/row"
KEPT = 20_000
"""Rows whose neighbours are kept once they were found."""


@dataclass(frozen=True)
class Row:
    """One row of a table: the names of its decision columns and their values."""

    columns: tuple[str, ...]
    values: tuple[Any, ...]

    def key(self) -> dict[str, Any]:
        """Column names and values that find the row in its table."""
        return dict(zip(self.columns, self.values, strict=True))

    def __str__(self) -> str:
        return "row(" + ", ".join(f"{column}={value}" for column, value in self.key().items()) + ")"


def read(path: str | Path) -> pa.Table:
    """The Parquet file at `path`; raises `SpaceError` when there is none or it can't be read."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise SpaceError(f"no table at {path}; give the path of a Parquet file")
    try:
        return pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise SpaceError(f"{path} can't be read as Parquet ({' '.join(str(error).split())[:120]})") from None


def kept(table: pa.Table, where: str | None) -> npt.NDArray[np.bool_]:
    """Which rows `where` keeps: a boolean column that is true, or `column=value`; without one, all."""
    if not where:
        return np.ones(table.num_rows, dtype=bool)
    column, equals, wanted = where.partition("=")
    column, wanted = column.strip(), wanted.strip()
    values = column_of(table, column).to_pylist()
    if equals:
        mask = np.array([str(value) == wanted for value in values], dtype=bool)
    elif pa.types.is_boolean(table.schema.field(column).type):
        mask = np.array([value is True for value in values], dtype=bool)
    else:
        raise SpaceError(f"the column '{column}' isn't boolean; say {column}=VALUE, as in {column}={values[0]}")
    if not mask.any():
        raise SpaceError(f"no row of the table is left where {where}")
    return mask


def column_of(table: pa.Table, name: str) -> pa.ChunkedArray:
    """The column called `name`; raises `SpaceError` with the near names."""
    if name not in table.column_names:
        raise SpaceError(f"the table has no column '{name}'; {near(name, table.column_names)}")
    return table.column(name)


class TableSpace(SearchSpace):
    """The rows of a table as a search space.

    A gene is the index of a column's value among its distinct ones (sorted). Neighbours of a row are the rows at the
    smallest Hamming distance from it, which is 1 wherever the table is complete; mutation draws one of them.
    """

    def __init__(self, name: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        self.name = name
        self.columns = tuple(columns)
        self._rows = list(rows)
        if not self._rows:
            raise SpaceError(f"the table space '{name}' has no rows")
        options = [tuple(sorted(set(values), key=_order)) for values in zip(*self._rows, strict=True)]
        self.decisions = tuple(
            Decision(column, values, all(_is_number(value) for value in values))
            for column, values in zip(self.columns, options, strict=True)
        )
        codes = [{value: i for i, value in enumerate(values)} for values in options]
        genes = [tuple(code[value] for code, value in zip(codes, row, strict=True)) for row in self._rows]
        self._codes: npt.NDArray[np.int32] = np.ascontiguousarray(np.array(genes, dtype=np.int32).T)
        self._number = {row: i for i, row in enumerate(self._rows)}
        self._number_of_genes = {gene: i for i, gene in enumerate(genes)}
        # Searches ask for the same rows over and over; what they get is kept.
        self._neighbours: dict[int, npt.NDArray[np.intp]] = {}
        self._digests: dict[int, str] = {}

    @classmethod
    def load(
        cls,
        path: str | Path,
        decisions: str | Sequence[str],
        where: str | None = None,
        repeats: Repeats = "error",
        name: str | None = None,
    ) -> "TableSpace":
        """The space of a Parquet file's rows.

        `decisions` are columns (a comma-separated string, or a list; `op_*` stands for all that match). `where` keeps
        the rows in which a boolean column is true (`connected`) or a column has a value (`dataset=cora`). Rows that
        are equal in all decisions are refused, unless `repeats="mean"` takes them as one architecture.
        """
        table = read(path)
        columns = chosen(table, decisions)
        mask = kept(table, where)
        lists = [column_of(table, column).to_pylist() for column in columns]
        for column, values in zip(columns, lists, strict=True):
            if any(value is None or value != value for value in values):
                raise SpaceError(f"the decision column '{column}' has empty cells; choose columns that are filled")
            if column == "part" or not isinstance(values[0], str | int | float | bool):
                raise SpaceError(f"the column '{column}' can't be a decision; choose text or numbers, not named 'part'")
        every = [row for row, keep in zip(zip(*lists, strict=True), mask, strict=True) if keep]
        rows = list(dict.fromkeys(every))
        if repeats == "error":
            refuse_repeats(len(every) - len(rows), columns, path)
        return cls(name or f"table:{path}", columns, rows)

    def where(self, rule: Callable[[Any], bool], reason: str = "") -> "TableSpace":
        """This space without the rows for which `rule(row)` is false."""
        rows = [row for row in self._rows if rule(Row(self.columns, row))]
        if not rows:
            raise SpaceError(f"nothing is left of the space '{self.name}'; loosen the rule ({reason or 'a rule'})")
        return TableSpace(self.name, self.columns, rows)

    def genes(self, architecture: Any) -> Genes:
        return tuple(self._codes[:, self._find(architecture)].tolist())

    def architecture(self, genes: Genes) -> Row:
        number = self._number_of_genes.get(tuple(genes))
        if number is None:
            raise SpaceError(f"the genes {tuple(genes)} stand for no row of the space '{self.name}'")
        return self._row(number)

    def size(self) -> int:
        return len(self._rows)

    def sample(self, seed: int | str | Random = 0, uniform: Uniform = "architectures") -> Row:
        """A random row; all are equally likely, whatever `uniform` says, since decisions can't be drawn alone."""
        rng = seed if isinstance(seed, Random) else Random(seed)
        return self._row(rng.randrange(len(self._rows)))

    def enumerate(self) -> Iterator[Row]:
        return map(self._row, range(len(self._rows)))

    def mutate(self, architecture: Any, rng: Random) -> Row:
        nearest = self._neighbours_of(self._find(architecture))
        return self._row(int(nearest[rng.randrange(len(nearest))]))

    def crossover(self, mother: Any, father: Any, rng: Random) -> Row:
        """The row nearest to the uniform cross of two rows (the cross itself where it is a row)."""
        pairs = zip(self.genes(mother), self.genes(father), strict=True)
        child = tuple(rng.choice(pair) for pair in pairs)
        number = self._number_of_genes.get(child)
        if number is None:
            nearest = self._nearest(np.array(child, dtype=np.int32))
            number = int(nearest[rng.randrange(len(nearest))])
        return self._row(number)

    def neighbours(self, architecture: Any) -> Iterator[Row]:
        return (self._row(int(i)) for i in self._neighbours_of(self._find(architecture)))

    def around(self, genes: Genes, rng: Random) -> Iterator[Row]:
        """All rows by their Hamming distance from `genes`, which may be no row's; equal distances in random order."""
        distance = self._distance(np.array(genes, dtype=np.int32))
        for found in range(len(genes) + 1):
            rows = np.flatnonzero(distance == found).tolist()
            rng.shuffle(rows)
            yield from map(self._row, rows)

    def digest(self, architecture: Any) -> str:
        number = self._number.get(architecture.values) if architecture.columns == self.columns else None
        if number is None:
            return self._digest(architecture)
        known = self._digests.get(number)
        if known is None:
            known = self._digests[number] = self._digest(self._row(number))
        return known

    def to_json(self, architecture: Any) -> Any:
        return {"part": PART, **architecture.key()}

    def from_json(self, value: Any) -> Row:
        given = {key: item for key, item in value.items() if key != "part"} if isinstance(value, dict) else {}
        if set(given) != set(self.columns):
            raise SpaceError(
                f"{str(value)[:120]} is no row of '{self.name}', whose columns are {', '.join(self.columns)}"
            )
        row = Row(self.columns, tuple(given[column] for column in self.columns))
        self._find(row)
        return row

    def fingerprint(self) -> str:
        return sha256(super().fingerprint().encode() + self._codes.tobytes()).hexdigest()[:16]

    def _digest(self, architecture: Any) -> str:
        return sha256(json.dumps(self.to_json(architecture)).encode()).hexdigest()[:32]

    def _row(self, number: int) -> Row:
        return Row(self.columns, self._rows[number])

    def _find(self, architecture: Any) -> int:
        number = None
        if isinstance(architecture, Row) and architecture.columns == self.columns:
            number = self._number.get(architecture.values)
        if number is None:
            raise SpaceError(f"the architecture isn't in the space '{self.name}': {str(architecture)[:200]}")
        return number

    def _neighbours_of(self, number: int) -> npt.NDArray[np.intp]:
        known = self._neighbours.get(number)
        if known is None:
            known = self._nearest(self._codes[:, number], number)
            if len(self._neighbours) < KEPT:
                self._neighbours[number] = known
        return known

    def _nearest(self, genes: npt.NDArray[np.int32], without: int | None = None) -> npt.NDArray[np.intp]:
        """The numbers of the rows at the smallest Hamming distance from `genes`, the row `without` left out."""
        distance = self._distance(genes)
        if without is not None:
            if len(self._rows) == 1:
                raise SpaceError(f"the space '{self.name}' has a single row, so nothing to mutate")
            distance[without] = len(genes) + 1
        return np.flatnonzero(distance == distance.min())

    def _distance(self, genes: npt.NDArray[np.int32]) -> npt.NDArray[np.int16]:
        distance = np.zeros(len(self._rows), dtype=np.int16)
        for column, gene in zip(self._codes, genes, strict=True):
            distance += column != gene
        return distance


def chosen(table: pa.Table, decisions: str | Sequence[str]) -> tuple[str, ...]:
    """The decision columns that a list of names and patterns stands for, each once."""
    wanted = decisions.split(",") if isinstance(decisions, str) else list(decisions)
    columns: list[str] = []
    for name in filter(None, (name.strip() for name in wanted)):
        matches = [column for column in table.column_names if "*" in name and fnmatch(column, name)]
        if not matches:
            column_of(table, name)
        columns += matches or [name]
    if not columns:
        raise SpaceError(f"say which columns are the decisions; the table has {', '.join(table.column_names)}")
    return tuple(dict.fromkeys(columns))


def refuse_repeats(repeated: int, columns: Sequence[str], path: str | Path) -> None:
    """Raise `SpaceError` when `repeated` rows equal others in `columns`."""
    if repeated:
        raise SpaceError(
            f"{repeated} rows of {path} repeat others in {', '.join(columns)}; add a column that tells them apart, "
            "keep one kind with where='column=value', or average them with repeats='mean'"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _order(value: Any) -> tuple[bool, Any]:
    return (not _is_number(value), value if _is_number(value) else str(value))

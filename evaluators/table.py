"""A published benchmark table as an evaluator: looks a candidate's row up instead of training it."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from archfront.contracts import METRICS, Context, Evaluation, Metric, Proposal, Provenance, Status, WrongUse
from evaluators.base import EVALUATORS, Evaluator
from search_spaces.errors import SpaceError, near
from search_spaces.table import Repeats, chosen, column_of, kept, read, refuse_repeats


@EVALUATORS.register("table")
class TableEvaluator(Evaluator):
    """Metrics from the numeric columns of a Parquet file.

    A candidate's row is found by `architecture.key()`: column names and values, as `{"arch_str": ...}`. A candidate
    without a row is recorded as unsupported. `columns` limits the metrics (names or patterns; default: all numeric
    columns), which also makes look-ups faster. `where` and `repeats` are as in `TableSpace.load`. Empty cells yield
    no metric. Fidelity is ignored: each fidelity of a benchmark is a column of its own.
    """

    name = "table"
    resource = "cpu"
    cheap = True
    argument = "file"
    self_contained = True

    def __init__(
        self,
        file: str,
        columns: str | Sequence[str] = (),
        where: str | None = None,
        repeats: Repeats = "error",
    ) -> None:
        try:
            self._table = read(file)
            self._mask = kept(self._table, where)
            self._names = chosen(self._table, columns) if columns else numeric(self._table)
        except SpaceError as error:
            raise WrongUse(str(error)) from None
        wrong = [name for name in self._names if name not in numeric(self._table)]
        if wrong or repeats not in ("error", "mean"):
            cause = f"the column '{wrong[0]}' isn't numeric" if wrong else f"repeats can't be '{repeats}'"
            raise WrongUse(f"{file}: {cause}; metrics are numeric columns, repeats is 'error' or 'mean'")
        self.file = file
        self._repeats: Repeats = repeats
        self._columns, self._where = columns, where
        self._values = np.stack([_floats(self._table, name) for name in self._names], axis=1)
        content = sha256(Path(file).expanduser().read_bytes()).hexdigest()[:12]
        self._provenance = Provenance(runtime="table", protocol=f"{Path(file).name}@{content}")
        self._indices: dict[tuple[str, ...], dict[tuple[Any, ...], int | list[int]]] = {}
        self._known: dict[int, tuple[Metric, ...]] = {}

    def metrics(self) -> tuple[str, ...]:
        return self._names

    def check_metric(self, name: str) -> None:
        if name not in self._names:
            raise WrongUse(f"the table {self.file} has no numeric column '{name}'; {near(name, self._names)}")

    def narrowed(self, metrics: Sequence[str], where: str | None = None) -> "TableEvaluator":
        """With the columns of these metrics alone, unless `columns` says which: tables have dozens."""
        for metric in () if self._columns else metrics:
            self.check_metric(metric)
        # The rows that the space leaves out must not count as repeats of those that it keeps.
        return TableEvaluator(self.file, self._columns or metrics, self._where or where, self._repeats)

    def whole(self) -> "TableEvaluator":
        return TableEvaluator(self.file, (), self._where, self._repeats)

    def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
        rows = self._rows(proposal.architecture)
        if rows is None:
            reason = f"{self.file} has no row for {_text(proposal.architecture.key())}"
            return Evaluation(proposal, Status.UNSUPPORTED, reason)
        return Evaluation(proposal, metrics=self._metrics(rows))

    def rule(self, where: str) -> Callable[[Any], bool]:
        """The architecture has a row, and the boolean column `where` is true in it."""
        try:
            true = kept(self._table, where)
        except SpaceError as error:
            raise WrongUse(str(error)) from None

        def holds(architecture: Any) -> bool:
            rows = self._rows(architecture)
            return rows is not None and all(bool(true[row]) for row in ([rows] if isinstance(rows, int) else rows))

        return holds

    def _rows(self, architecture: Any) -> int | list[int] | None:
        key: Mapping[str, Any] | None = architecture.key() if hasattr(architecture, "key") else None
        if key is None:
            raise SpaceError(f"a {type(architecture).__name__} has no key() to find its row of {self.file} by")
        columns = tuple(key)
        index = self._indices.get(columns)
        if index is None:
            index = self._indices[columns] = self._index(columns)
        return index.get(tuple(key.values()))

    def _index(self, columns: tuple[str, ...]) -> dict[tuple[Any, ...], int | list[int]]:
        """Row numbers by the values of `columns`; several rows only where `repeats` allows them."""
        lists = [column_of(self._table, column).to_pylist() for column in columns]
        index: dict[tuple[Any, ...], int | list[int]] = {}
        repeated = 0
        for number, values in enumerate(zip(*lists, strict=True)):
            if not self._mask[number]:
                continue
            known = index.setdefault(values, number)
            if known != number:
                repeated += 1
                index[values] = [*(known if isinstance(known, list) else [known]), number]
        if self._repeats == "error":
            refuse_repeats(repeated, columns, self.file)
        return index

    def _metrics(self, rows: int | list[int]) -> tuple[Metric, ...]:
        """The row's metrics, made once; repeats of a row are averaged."""
        first = rows if isinstance(rows, int) else rows[0]
        if first not in self._known:
            values = self._values[rows] if isinstance(rows, int) else self._values[rows].mean(axis=0)
            self._known[first] = tuple(
                Metric(name, value, unit(name), provenance=self._provenance)
                for name, value in zip(self._names, values.tolist(), strict=True)
                if value == value
            )
        return self._known[first]


def numeric(table: pa.Table) -> tuple[str, ...]:
    """The names of the columns that hold numbers."""
    return tuple(
        field.name for field in table.schema if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    )


def unit(column: str) -> str:
    """The unit of a column, from the known metrics or the column's suffix; empty where neither tells."""
    known = METRICS.get(column.partition("@")[0])
    if known is not None:
        return known[1]
    suffixes = {"_ms": "ms", "_s": "s", "_kwh": "kWh", "_w": "W", "_ips": "1/s", "_mb": "MB", "_mj": "mJ"}
    return next((unit for suffix, unit in suffixes.items() if column.lower().endswith(suffix)), "")


def _floats(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    return np.asarray(table.column(name).cast(pa.float64()).to_numpy(), dtype=np.float64)


def _text(key: Mapping[str, Any]) -> str:
    return ", ".join(f"{column}={value}" for column, value in key.items())[:200]

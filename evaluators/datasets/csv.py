"""Tables: a file of columns, one of which is the target."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from archfront.contracts import WrongUse
from evaluators.datasets.arrays import DATASETS, Array, Arrays
from evaluators.datasets.columns import standardized_columns
from evaluators.tasks import Classification, Regression, Task
from search_spaces.errors import near

MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"]
MOST_CATEGORIES = 100
"""Text columns with more different values than this are left out."""
FEW = 20
"""Integer targets with at most so many different values, each several times, are classes."""


@dataclass
class Table:
    """Columns as float32, the number of categories of those that have some, and what was odd."""

    columns: list[Array] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    categories: dict[int, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, name: str, values: Array, categories: int = 0) -> None:
        """One more column."""
        if categories:
            self.categories[len(self.columns)] = categories
        self.columns.append(values.astype(np.float32))
        self.names.append(name)


@DATASETS.register("csv")
def csv(
    argument: str,
    target: str = "",
    kind: Literal["", "regression", "classification"] = "",
    drop: str = "",
    separator: str = ",",
) -> Arrays:
    """`csv:FILE` with `target=COLUMN`: a table with a line of names (or a .parquet file), a row an example.

    A target of text, truth values or few integers makes a classification, other numbers a regression, unless `kind`
    says which. Columns of text are categories; those with too many different values, and row numbers, are left out, as
    are those that `drop` names, with commas between. Missing values (empty, NA, nan, null, ?) become the training
    rows' mean, with a column that says so.
    """
    table = _read(argument, separator)
    names = table.column_names
    # A name that looks like a number comes as one from a study file.
    target, drop = str(target), str(drop)
    if not target:
        raise WrongUse(f"say which column of {argument} is the target, --target COLUMN; {near('', names)}")
    if target not in names:
        raise WrongUse(f"{argument} has no column '{target}' to be the target; {near(target, names)}")
    dropped = [name.strip() for name in drop.split(",") if name.strip()]
    for name in dropped:
        if name not in names or name == target:
            others = [known for known in names if known != target]
            raise WrongUse(f"{argument} has no column '{name}' to drop; {near(name, others)}")
    if kind not in ("", "regression", "classification"):
        raise WrongUse(f"kind can't be '{kind}'; it is regression or classification")
    task, targets = _target(argument, target, table.column(target), kind)
    found = Table()
    for name in names:
        if name != target and name not in dropped:
            _take(found, name, table.column(name))
    if not found.columns:
        raise WrongUse(f"{argument} has no column to learn '{target}' from; {'; '.join(found.problems) or 'add some'}")
    return Arrays(
        (np.stack(found.columns, 1), targets),
        task=task,
        medium="tables",
        preparation=partial(standardized_columns, categories=found.categories),
        problems=tuple(found.problems),
    )


def _read(argument: str, separator: str) -> Any:
    """The file as a pyarrow table with at least a row."""
    from pyarrow import ArrowException
    from pyarrow import csv as reader
    from pyarrow.parquet import read_table

    file = Path(argument).expanduser()
    if not file.is_file():
        raise WrongUse(f"no file {argument}; give a table of columns, .csv or .parquet")
    if len(separator) != 1:
        raise WrongUse(f"separator '{separator}' must be one character, as ','")
    convert = reader.ConvertOptions(null_values=MISSING, strings_can_be_null=True)
    try:
        if file.suffix.lower() == ".parquet":
            found = read_table(file)
        else:
            found = reader.read_csv(
                file, parse_options=reader.ParseOptions(delimiter=separator), convert_options=convert
            )
    except (ArrowException, OSError, ValueError) as error:
        raise WrongUse(f"{argument} can't be read as a table: {' '.join(str(error).split())[:150]}") from None
    twice = [name for name in found.column_names if found.column_names.count(name) > 1]
    if twice or not found.num_rows:
        raise WrongUse(f"{argument} has {f'two columns {twice[0]!r}' if twice else 'no rows'}; mend it first")
    return found


def _numeric(column: Any) -> bool:
    from pyarrow import types

    kind = column.type
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind))


def _textual(column: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(column.type) or types.is_large_string(column.type) or types.is_dictionary(column.type))


def _floats(column: Any) -> Array:
    """A column of numbers as float64, NaN where one is missing."""
    values = [np.nan if value is None else float(value) for value in column.to_pylist()]
    return np.array(values, dtype=np.float64)


def _target(argument: str, name: str, column: Any, kind: str) -> tuple[Task, Array]:
    """The task, and the targets: numbers of classes (n,), or numbers (n, 1)."""
    from pyarrow import types

    missing = int(np.isnan(_floats(column)).sum()) if _numeric(column) else column.null_count
    if missing:
        raise WrongUse(f"{argument}: {missing:,} rows have no '{name}', the target; remove them")
    if not (_numeric(column) or _textual(column)):
        raise WrongUse(f"{argument}: the target '{name}' is of type {column.type}; it needs numbers or text")
    listed = column.to_pylist()
    values = sorted(set(listed))
    few = types.is_integer(column.type) and len(values) <= FEW and len(values) * 3 <= len(column)
    if not kind:
        kind = "regression" if _numeric(column) and not few and not types.is_boolean(column.type) else "classification"
    if kind == "regression":
        if not _numeric(column):
            raise WrongUse(f"{argument}: the target '{name}' is text, as '{values[0]}'; a regression needs numbers")
        return Regression(1, columns=(name,)), _floats(column)[:, None]
    numbers = {value: number for number, value in enumerate(values)}
    targets = np.array([numbers[value] for value in listed], dtype=np.int64)
    counts = np.bincount(targets)
    rare = [str(values[i]) for i in np.flatnonzero(counts < 3)]
    if len(values) < 2:
        raise WrongUse(f"{argument}: the target '{name}' is '{values[0]}' in all rows; there is nothing to learn")
    if rare:
        raise WrongUse(
            f"{argument}: {len(rare)} of {len(values)} values of '{name}' occur fewer than 3 times, as '{rare[0]}'; "
            "remove these rows, or say --set data.kind=regression where it is a number"
        )
    return Classification(len(values), tuple(map(str, values))), targets


def _take(table: Table, name: str, column: Any) -> None:
    """Add a column, or say why it is left out."""
    from pyarrow import types

    rows, missing = len(column), column.null_count
    if missing == rows:
        table.problems.append(f"column '{name}' is empty and left out")
    elif _numeric(column):
        values = _floats(column)
        values[~np.isfinite(values)] = np.nan
        if rows > 2 and not missing and (np.diff(values) == 1).all():
            table.problems.append(f"column '{name}' numbers the rows and is left out")
        elif types.is_integer(column.type) and name.lower().endswith("id") and len(set(values)) == rows:
            table.problems.append(f"column '{name}' names the rows and is left out")
        else:
            table.add(name, values)
            _say_gaps(table, name, int(np.isnan(values).sum()), rows)
    elif _textual(column):
        listed = column.to_pylist()
        texts = sorted({value for value in listed if value is not None})
        if len(texts) > MOST_CATEGORIES or len(texts) > 0.5 * rows:
            table.problems.append(f"column '{name}' has {len(texts):,} different texts and is left out")
            return
        numbers: dict[Any, float] = {value: float(number) for number, value in enumerate(texts)}
        table.add(name, np.array([numbers.get(value, np.nan) for value in listed]), len(texts))
        _say_gaps(table, name, missing, rows)
    else:
        table.problems.append(f"column '{name}' is of type {column.type} and left out")


def _say_gaps(table: Table, name: str, missing: int, rows: int) -> None:
    if missing:
        table.problems.append(f"column '{name}' lacks {missing:,} of {rows:,} values")

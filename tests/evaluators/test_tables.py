"""Tables: files of columns with a target, and those of scikit-learn; data sets of a user's own with tasks."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn import datasets
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error
from torch import nn

from archfront.contracts import Provenance, WrongUse
from evaluators.datasets import Feed, describe, load
from evaluators.datasets.columns import Columns
from evaluators.tasks import Classification, DensePrediction, Regression
from evaluators.tested import tested as tally_of

ROWS = 60


def table(path: Path, separator: str = ",", **changes: Any) -> str:
    """A table of houses; a column that is None is left out."""
    rng = np.random.default_rng(0)
    area = rng.uniform(30, 200, ROWS).round(1)
    columns: dict[str, Any] = {
        "area": [str(value) if i % 10 else "" for i, value in enumerate(area)],
        "rooms": rng.integers(1, 7, ROWS),
        "town": np.array(["Ulm", "Bonn", "Kiel"])[rng.integers(0, 3, ROWS)],
        "garden": np.array(["true", "false"])[rng.integers(0, 2, ROWS)],
        "price": (area * 3.1 + rng.normal(0, 5, ROWS)).round(2),
    } | changes
    names = [name for name, values in columns.items() if values is not None]
    rows = zip(*(columns[name] for name in names), strict=True)
    path.write_text("\n".join(separator.join(map(str, row)) for row in [tuple(names), *rows]) + "\n")
    return f"csv:{path}"


def test_a_table_of_numbers_and_categories(tmp_path: Path) -> None:
    data = load(table(tmp_path / "houses.csv"), target="price")
    assert isinstance(data.task, Regression) and data.task.columns == ("price",) and data.outputs == 1
    assert data.medium == "tables" and data.space == "tabular"
    # area, rooms, garden; area's gaps; three towns.
    assert data.inputs == (3 + 1 + 3,) and data.train.inputs.shape[1] == 4
    assert (data.train.size, data.validation.size, data.test.size) == (38, 10, 12)
    prepared = data.prepared(data.train.inputs[:])
    assert torch.allclose(prepared[:, :3].mean(0), torch.zeros(3), atol=1e-5)
    assert torch.equal(prepared[:, 4:].sum(1), torch.ones(38)) and 0 < prepared[:, 3].sum() < 10
    held = data.train.targets[:]
    assert held.shape == (38, 1) and data.task.mean == pytest.approx((held.mean().item(),))
    said = describe(data)
    assert "regression of price, 7 columns" in said and "column 'area' lacks 6 of 60 values" in said


def test_what_is_learnt_of_a_table_is_learnt_of_training_rows(tmp_path: Path) -> None:
    data = load(table(tmp_path / "houses.csv"), target="price", validation=0.5)
    preparation = data.preparation
    assert isinstance(preparation, Columns)
    wanted = torch.nanmean(data.train.inputs[:][:, [0, 1, 3]], 0)
    assert torch.allclose(preparation.mean, wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("target", "classes"),
    [("town", ("Bonn", "Kiel", "Ulm")), ("garden", ("False", "True")), ("rooms", tuple("123456"))],
)
def test_targets_that_are_classes(tmp_path: Path, target: str, classes: tuple[str, ...]) -> None:
    data = load(table(tmp_path / "houses.csv"), target=target)
    assert isinstance(data.task, Classification) and data.classes == classes
    assert sum(data.task.frequencies) == data.train.size
    for split in (data.validation, data.test):
        assert len(split.targets[:].unique()) == len(classes)


def test_the_kind_may_be_said_and_columns_dropped(tmp_path: Path) -> None:
    spec = table(tmp_path / "houses.csv")
    data = load(spec, target="rooms", kind="regression", drop="price, town")
    assert isinstance(data.task, Regression) and data.inputs == (3,)
    other = load(table(tmp_path / "houses.tsv", separator=";"), target="price", separator=";")
    assert torch.equal(other.test.targets[:], load(spec, target="price").test.targets[:])


def test_columns_that_say_nothing_are_left_out_and_told(tmp_path: Path) -> None:
    names = [f"house {i}" for i in range(ROWS)]
    spec = table(
        tmp_path / "x.csv",
        number=range(1, ROWS + 1),
        name=names,
        object_id=np.random.default_rng(0).permutation(ROWS) * 7,
        void=[""] * ROWS,
        day=["2024-03-01"] * ROWS,
    )
    data = load(spec, target="price")
    assert data.inputs == (7,)
    said = describe(data)
    for problem in (
        "column 'number' numbers the rows and is left out",
        "column 'name' has 60 different texts and is left out",
        "column 'object_id' names the rows and is left out",
        "column 'void' is empty and left out",
        "column 'day' is of type date32[day] and left out",
    ):
        assert problem in said


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({}, {}, "say which column .* --target COLUMN; known: area, garden, price, rooms, town"),
        ({}, {"target": "prise"}, "has no column 'prise' to be the target; did you mean 'price'"),
        ({}, {"target": "area"}, "6 rows have no 'area', the target"),
        ({}, {"target": "price", "drop": "rom"}, "no column 'rom' to drop; did you mean 'rooms'"),
        ({}, {"target": "town", "kind": "regression"}, "'town' is text, as 'Bonn'; a regression needs numbers"),
        ({}, {"target": "price", "kind": "ranking"}, "kind can't be 'ranking'"),
        ({}, {"target": "price", "kind": "classification"}, "occur fewer than 3 times"),
        ({}, {"target": "price", "separator": ",,"}, "must be one character"),
        ({"price": [7.0] * ROWS}, {"target": "price"}, "the target 'price' is 7 everywhere"),
        ({"town": ["Ulm"] * ROWS}, {"target": "town"}, "'town' is 'Ulm' in all rows"),
        ({"price": [*["1.5"] * (ROWS - 1), "inf"]}, {"target": "price"}, "missing or not finite"),
        ({"area": None, "rooms": None, "town": None, "garden": None}, {"target": "price"}, "no column to learn"),
    ],
)
def test_wrong_tables_are_one_line(
    tmp_path: Path, changes: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(WrongUse, match=message) as raised:
        load(table(tmp_path / "x.csv", **changes), **settings)
    assert "\n" not in str(raised.value)


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no file"):
        load(f"csv:{tmp_path / 'none.csv'}", target="x")
    for name, content in (("a.csv", b"a,b\n1,2\n3\n"), ("b.csv", b""), ("c.parquet", b"a,b\n1,2\n")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WrongUse, match="can't be read as a table") as raised:
            load(f"csv:{tmp_path / name}", target="a")
        assert "\n" not in str(raised.value)
    (tmp_path / "d.csv").write_text("a,a\n1,2\n")
    with pytest.raises(WrongUse, match="two columns 'a'"):
        load(f"csv:{tmp_path / 'd.csv'}", target="a")


def test_a_table_of_another_format(shared_data: Path) -> None:
    data = load(f"csv:{shared_data / 'tables' / 'ofa_mbv3_latency_dev.parquet'}", target="resolution")
    assert isinstance(data.task, Regression) and data.train.size + data.validation.size + data.test.size == 4000
    assert "column 'row' numbers the rows and is left out" in describe(data)


def test_tables_of_scikit_learn() -> None:
    numbers, cells = load("sklearn:diabetes"), load("sklearn:breast_cancer")
    assert isinstance(numbers.task, Regression) and numbers.inputs == (10,) and numbers.test.size == 88
    assert cells.classes == ("malignant", "benign") and cells.inputs == (30,)
    raw = {row.tobytes() for row in datasets.load_diabetes(scaled=False).data.astype(np.float32)}
    assert {row.numpy().tobytes() for row in numbers.train.inputs[:]} < raw
    assert load("sklearn:linnerud").task.describe() == "regression of Weight, Waist, Pulse"
    assert load("sklearn:digits").inputs == (64,)
    with pytest.raises(WrongUse, match="doesn't ship a table 'california', or would fetch it; known: breast_cancer"):
        load("sklearn:california")


def test_a_network_learns_a_table_as_least_squares_do(tmp_path: Path) -> None:
    data = load("sklearn:diabetes")
    feed, model = Feed(data, data.train), nn.Linear(10, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=200)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        inputs, targets = feed.take(slice(0, feed.size))
        loss = data.task.loss(model(inputs), targets)
        loss.backward()
        return loss

    optimizer.step(step)
    solved = LinearRegression().fit(data.train.inputs[:], data.train.targets[:])
    wanted = mean_absolute_error(data.test.targets[:], solved.predict(data.test.inputs[:]))
    found = tally_of(model, Feed(data, data.test).batches(32), data.task).metrics(Provenance())[0]
    assert found.name == "mae" and found.value == pytest.approx(wanted, rel=0.01)

    # The same in one piece, from raw rows to values, in ONNX Runtime.
    whole = nn.Sequential(data.preparation, model, data.task.reading()).eval()
    raw, file = data.test.inputs[:], tmp_path / "whole.onnx"
    shapes = ({0: torch.export.Dim("batch", min=1, max=128)},)
    torch.onnx.export(whole, (raw[:2],), file, dynamo=True, dynamic_shapes=shapes, verbose=False)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    values = session.run(None, {session.get_inputs()[0].name: raw.numpy()})[0]
    assert mean_absolute_error(data.test.targets[:], values) == pytest.approx(found.value, rel=1e-4)


OWN = """
import numpy as np
from evaluators.datasets import Arrays
from evaluators.tasks import Classification, DensePrediction, MultiLabel, Regression

RNG = np.random.default_rng(0)

def prices(unit=1.0):
    rows = RNG.normal(size=(50, 4)).astype(np.float32)
    return Arrays((rows, rows.sum(1) * unit), task=Regression(1), medium="tables")

def tokens():
    return Arrays((RNG.integers(0, 9, (40, 6)), np.arange(40) % 2), task=Classification(2, ("a", "b")),
                  medium="tokens", inputs=(9, 6))

def nothing():
    return Arrays((np.zeros((40, 6)), np.arange(40) % 2), medium="tokens")

def beyond():
    return Arrays((RNG.integers(0, 255, (40, 6, 6), dtype=np.uint8), np.arange(40)), task=Classification(3))

def grouped():
    return Arrays((np.arange(60, dtype=np.float32)[:, None] // 6, np.arange(60) % 2), task=Classification(2),
                  medium="tables", groups=np.arange(60) // 6)

class Scenes:
    task = DensePrediction(2, ("sky", "ground"))
    def __init__(self, train): self.n = 20 if train else 6
    def __len__(self): return self.n
    def __getitem__(self, i): return np.full((4, 5), i, np.uint8), np.arange(20).reshape(4, 5) % 2
"""


def test_own_data_sets_carry_a_task(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    prices, tokens, scenes = (load(f"{file}:{name}") for name in ("prices", "tokens", "Scenes"))
    assert isinstance(prices.task, Regression) and prices.train.targets.shape[1] == 1 and len(prices.task.mean) == 1
    assert tokens.inputs == (9, 6) and tokens.space == "sequence" and tokens.task.frequencies == (13, 13)
    assert isinstance(scenes.task, DensePrediction) and scenes.test.targets.shape == (6, 4, 5)
    assert scenes.task.gives(scenes.inputs) == (2, 4, 5) and prices.sha256 != load(f"{file}:prices", unit=2.0).sha256
    with pytest.raises(WrongUse, match="is none of pictures and names no task"):
        load(f"{file}:nothing")
    with pytest.raises(WrongUse, match="37 targets are out of range, as 3; the 3 classes"):
        load(f"{file}:beyond")


def test_groups_stay_together(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    data = load(f"{file}:grouped")
    found = [set(split.inputs[:][:, 0].tolist()) for split in (data.train, data.validation, data.test)]
    assert len(set.union(*found)) == sum(map(len, found)) == 10 and all(found)

"""One run of one contender in a process of its own, so that its CPU-seconds can be told from all others'.

    python -m benchmarks.automl_run FOLDER

reads FOLDER/order.json and writes FOLDER/record.json: CPU-seconds of the process and all that it started, until its
networks were trained; then, outside of the budget and alike for all contenders, each network's ONNX file and what that
file is worth on the validation and the test split. `benchmarks.automl` starts it.
"""

import json
import sys
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from archfront.contracts import Provenance
from archfront.export.onnx_network import OnnxNetwork
from benchmarks.contenders.interface import Data, Refused, Trained, find
from benchmarks.cpu_meter import CpuMeter
from evaluators.datasets import DataSet, Feed, Split
from evaluators.tested import tested

ORDER, RECORD = "order.json", "record.json"
TOGETHER = 256


def main() -> None:
    """Work the order in the folder that is named, and leave the record there."""
    folder = Path(sys.argv[1]).resolve()
    order = json.loads((folder / ORDER).read_text("utf-8"))
    record = {**order, **worked(order, folder)}
    aside = folder / f"{RECORD}.part"
    aside.write_text(json.dumps(record), "utf-8")
    aside.rename(folder / RECORD)


def worked(order: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What came of an order: the seconds used, and the networks."""
    data, seed = Data(order["set"], order["spec"], order["settings"]), int(order["seed"])
    trained: list[Trained] = []
    note, started = "", time.monotonic()
    with CpuMeter() as meter:
        try:
            trained = find(order["contender"])(data, 60.0 * order["minutes"], seed, folder)
        except Refused as refused:
            note = str(refused)
        used, took = meter.seconds, time.monotonic() - started
    dataset = data.load(seed)
    return {
        "cpu_seconds": round(used, 1),
        "wall_seconds": round(took, 1),
        "data_sha256": dataset.sha256,
        "majority": majority(dataset),
        "networks": [handed_over(one, number, dataset, folder) for number, one in enumerate(trained)],
        "note": note,
    }


def handed_over(trained: Trained, number: int, dataset: DataSet, folder: Path) -> dict[str, Any]:
    """A network's file, which lies in `networks/NUMBER`, and what it is worth."""
    to = folder / "networks" / str(number)
    to.mkdir(parents=True)
    file = trained.write(to)
    return {
        "name": trained.name,
        "said": round(trained.validation, 5),
        "validation": accuracy(file, dataset, dataset.validation),
        "test": accuracy(file, dataset, dataset.test),
        "file": str(file.relative_to(folder)),
        "sha256": sha256(file.read_bytes()).hexdigest(),
    }


def accuracy(file: Path, dataset: DataSet, split: Split) -> float:
    """The accuracy of an ONNX file on a split, by ONNX Runtime on pictures as the data set prepares them."""
    found = tested(OnnxNetwork(file), Feed(dataset, split).batches(TOGETHER), dataset.task).metrics(Provenance(), "")
    return next(metric.value for metric in found if metric.name == "accuracy")


def majority(dataset: DataSet) -> float:
    """The accuracy on the test split of always saying the class that is commonest in training."""
    commonest = dataset.train.targets[:].mode().values
    return float((dataset.test.targets[:] == commonest).float().mean())


if __name__ == "__main__":
    main()

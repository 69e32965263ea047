"""Real data for every task: what ships with Python and scikit-learn, and the shared sets where they are.

    ARCHFRONT_DATA=… python -m benchmarks.task_data --to FOLDER

writes the texts and the table and prints what to give `archfront search --data` for each task.
"""

import argparse
import csv
import importlib
import os
import pydoc_data.topics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MODULES = ("argparse", "datetime", "inspect", "tarfile", "turtle", "typing")
"""Modules of Python's own library; a line of code is to be told which one it is from."""
SHORTEST = 24
"""Characters of the shortest line that is taken: `return None` is from anywhere."""


@dataclass(frozen=True)
class Source:
    """A data set of a task: what `load` takes."""

    task: str
    spec: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> str:
        """The same as options of the command line."""
        rest = {key: value for key, value in self.settings.items() if key != "target"}
        target = [f"--target {self.settings['target']}"] if "target" in self.settings else []
        return " ".join([f"--data {self.spec}", *target, *(f"--set data.{k}={v}" for k, v in rest.items())])


def sources(folder: Path) -> list[Source]:
    """The data sets of all tasks, those of the shared data only where `ARCHFRONT_DATA` says where they are."""
    _write_help(folder / "help.txt")
    _write_modules(folder / "modules")
    _write_diabetes(folder / "diabetes.csv")
    found = [
        Source("classification", "digits"),
        Source("sequence classification", f"text:{folder / 'modules'}"),
        Source("next-token prediction", f"text:{folder / 'help.txt'}"),
        Source("next-token prediction", f"text:{folder / 'help.txt'}", {"tokens": "word", "vocabulary": 1000}),
        Source("tabular classification", "sklearn:breast_cancer"),
        Source("tabular classification", "sklearn:wine"),
        Source("regression", f"csv:{folder / 'diabetes.csv'}", {"target": "progression"}),
    ]
    if "ARCHFRONT_DATA" in os.environ:
        images = Path(os.environ["ARCHFRONT_DATA"]) / "images"
        camvid = f"masks:{images / 'camvid_90x120_uint8.npz'}"
        found += [
            Source("classification", f"npz:{images / 'flowers17_16px_uint8.npz'}"),
            Source("multi-label classification", camvid, {"ignore": 11, "labels": "occurrence", "least": 0.01}),
            Source("dense prediction", camvid, {"ignore": 11}),
            Source("audio", f"audio:{images / 'fsdd_waveforms_int16.npz'}"),
        ]
    return found


def _write_help(file: Path) -> None:
    """Python's help on its own language, 465,000 characters."""
    file.parent.mkdir(parents=True, exist_ok=True)
    topics = pydoc_data.topics.topics
    file.write_text("\n\n".join(topics[name] for name in sorted(topics)), "utf-8")


def _write_modules(folder: Path) -> None:
    """The lines of some modules, each line once and in one module alone."""
    folder.mkdir(parents=True, exist_ok=True)
    lines: dict[str, dict[str, None]] = {}
    for name in MODULES:
        code = Path(str(importlib.import_module(name).__file__)).read_text("utf-8").splitlines()
        lines[name] = dict.fromkeys(line.strip() for line in code if len(line.strip()) >= SHORTEST)
    for name in MODULES:
        others = {line for other in MODULES if other != name for line in lines[other]}
        own = [line for line in lines[name] if line not in others]
        (folder / f"{name}.txt").write_text("\n".join(own) + "\n", "utf-8")


def _write_diabetes(file: Path) -> None:
    from sklearn.datasets import load_diabetes

    found = load_diabetes(scaled=False)
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow([*found.feature_names, "progression"])
        writer.writerows([*row, target] for row, target in zip(found.data.tolist(), found.target.tolist(), strict=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=Path("task_data"))
    for source in sources(parser.parse_args().to):
        print(f"{source.task:28} {source.options}")

"""What a contender of `benchmarks.automl` is given, and what it gives."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from evaluators.datasets import DataSet, load

MODULES = {
    "archfront": "archfront_search",
    "engineer": "engineer",
    "optuna-nsga2": "optuna_nsga2",
    "optuna-tpe": "optuna_tpe",
    "supernet": "supernet_road",
}
"""The contenders, and the module of each in this package."""
ABLATIONS = ("portfolio", "rungs", "finals", "recipe")
"""What of a search's plan can be switched off, one at a time: `plan.NAME`."""
WITHOUT = "archfront-without-"


@dataclass(frozen=True)
class Data:
    """A data set to compare on: what `evaluators.datasets.load` takes."""

    name: str
    spec: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def load(self, seed: int) -> DataSet:
        """The data set in the split of the studies of this seed."""
        return load(self.spec, seed=seed, **self.settings)

    @property
    def options(self) -> list[str]:
        """The same as words of the command line."""
        return ["--data", self.spec, *(f"--set=data.{key}={_toml(value)}" for key, value in self.settings.items())]


@dataclass(frozen=True)
class Trained:
    """A network that a contender hands over.

    `validation` is the accuracy on the validation split by which its user would choose. `write` writes it as an ONNX
    file into an empty folder and gives the file; its input is (batch, channels, height, width), as the data set's own
    preparation gives pictures, and its batch is open. Writing is not part of anybody's budget.
    """

    name: str
    validation: float
    write: Callable[[Path], Path]


class Refused(RuntimeError):
    """A contender can't do anything with so small a budget, or with such data; the message says why."""


class Contender(Protocol):
    """What each contender's module gives as `run`."""

    def __call__(self, data: Data, cpu_seconds: float, seed: int, folder: Path) -> list[Trained]:
        """Networks trained on `data` with `cpu_seconds` of this process and all that it starts; `folder` is its own."""
        ...


def names(ablated: tuple[str, ...] = ()) -> list[str]:
    """The names of all contenders, those with something switched off last."""
    return [*MODULES, *(f"{WITHOUT}{name}" for name in ablated)]


def find(name: str) -> Contender:
    """The contender of this name."""
    if name.startswith(WITHOUT):
        from benchmarks.contenders import archfront_search

        return archfront_search.without(name.removeprefix(WITHOUT))
    module = importlib.import_module(f"benchmarks.contenders.{MODULES[name]}")
    return module.run


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

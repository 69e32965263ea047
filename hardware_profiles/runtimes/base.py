"""The contract of a runtime, and the registry of runtimes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy

from search_spaces.registry import Registry

if TYPE_CHECKING:
    from torch import nn

Array = numpy.ndarray[Any, Any]


class Unsupported(NotImplementedError):
    """The runtime can't convert or load this network; the message says why."""


@dataclass(frozen=True)
class Loaded:
    """A network ready to run: `run` takes an array of `shape` (with the batch) and `dtype`, and gives the outputs."""

    run: Callable[[Array], Array]
    shape: tuple[int, ...]
    dtype: str
    precision: str


class Runtime(ABC):
    """Base of every runtime.

    What an implementation owes: its module imports neither torch nor the runtime itself at the top, since the timing
    process imports only what it needs. `convert` runs where torch is, `load` in the timing process. `load` executes
    nothing that the file brings along but the network's operations, and keeps to `threads` threads.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    package: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = ("float32",)
    options: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def version(self) -> str:
        """The installed version, found without importing it."""

    @abstractmethod
    def convert(self, model: "nn.Module", inputs: tuple[int, ...], batch: int, folder: Path) -> Path:
        """Write the deployed `model` (inputs of shape `(batch, *inputs)`) into `folder`; raises `Unsupported`."""

    @abstractmethod
    def warm(self) -> None:
        """Import what `load` needs, so that the processes forked from this one don't have to; starts no thread."""

    @abstractmethod
    def load(self, path: Path, threads: int, options: Mapping[str, Any]) -> Loaded:
        """Load a converted file; raises `Unsupported`."""


RUNTIMES: Registry[type[Runtime]] = Registry("runtime", "hardware_profiles.runtimes")
"""All runtimes by name; `path/to/file.py:Class` and entry points of `archfront.runtimes` count, too."""


def first_line(error: BaseException) -> str:
    """An error as one short line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"

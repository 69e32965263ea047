"""Formats that a network is exported to: each writes its files, and runs them again the way a user would."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np

from archfront.export.subject import Subject
from search_spaces.registry import Registry


class Format(ABC):
    """Base of every format.

    `run` must use nothing but the files that `write` left in the folder and what their user would have installed: it
    is how an export is verified.
    """

    name: ClassVar[str] = ""
    packages: ClassVar[tuple[str, ...]] = ()
    """The distributions whose versions the card names."""
    raw: ClassVar[bool] = False
    """Whether it takes inputs as the data set holds them, and gives what people read; else as the network does."""

    @abstractmethod
    def write(self, subject: Subject, folder: Path) -> list[str]:
        """Write the files of this format below `folder`; gives their names. Raises `ExportRefused` with the reason."""

    @abstractmethod
    def run(self, folder: Path, inputs: np.ndarray) -> np.ndarray:
        """The outputs (n, ...) of the exported files for `inputs` (n, ...)."""

    def remarks(self, subject: Subject, folder: Path) -> list[str]:
        """What else was looked at in the exported files, a line each. Raises `ExportRefused` where it isn't right."""
        return []

    @abstractmethod
    def usage(self, subject: Subject) -> str:
        """How to load and run it, as a few lines of Python."""


FORMATS: Registry[type[Format]] = Registry("export format", "archfront.export.formats")
"""All formats by name; `path/to/file.py:Class` and entry points of `archfront.export_formats` count, too."""


def batches(inputs: np.ndarray) -> list[np.ndarray]:
    """`inputs` in batches of three sizes, one of them 1, so that a batch size frozen by an exporter shows."""
    third = max(1, len(inputs) // 3)
    parts = [inputs[:1], inputs[1 : 1 + third], inputs[1 + third :]]
    return [part for part in parts if len(part)]

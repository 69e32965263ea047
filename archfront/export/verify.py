"""Verification: exported files, run the way their user would run them, must give the searched network's outputs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from archfront.export.errors import ExportRefused
from archfront.export.formats import Format, batches
from archfront.export.subject import Subject
from search_spaces.example_inputs import example_inputs, takes_ids

MOST = 2000
"""Of so many examples those are taken that exports of raw inputs are checked on."""
INPUTS = 128
"""On so many inputs, at the least, every export is checked."""
TOLERANCE = 1e-4
"""The largest absolute difference allowed, as a share of the range of the searched network's outputs."""


@dataclass(frozen=True)
class Check:
    """How near an exported format came to the searched network."""

    format: str
    inputs: int
    kind: str
    """What the inputs were: validation examples, or random values."""
    max_difference: float
    output_range: float
    tolerance: float
    """In units of the outputs: `TOLERANCE` times their range."""
    ties: int
    """Inputs whose top-1 changed between two outputs that are nearer to each other than the tolerance."""

    @property
    def said(self) -> str:
        """On what it was checked and how near it came, in words."""
        share = self.max_difference / self.output_range
        return f"{self.inputs} {self.kind}, largest difference {share:.1e} of the output range, same top-1"

    def __str__(self) -> str:
        return f"{self.format}: {self.said}"


@dataclass(frozen=True)
class Sample:
    """Inputs (n, ...), and what the searched network gives for them."""

    inputs: np.ndarray
    expected: np.ndarray
    kind: str


def sample(subject: Subject, examples: torch.Tensor | None = None) -> Sample:
    """At least `INPUTS` inputs, from `examples` (as the network takes them) or drawn at random, with their outputs."""
    if examples is not None and len(examples) >= INPUTS:
        inputs, kind = _spread(examples), "validation examples"
    else:
        inputs = example_inputs(subject.model, subject.inputs, INPUTS, int(subject.digest[:8], 16))
        kind = "random tokens" if takes_ids(subject.model) else "random normal values"
    return _expected(subject.model, inputs, kind)


def raw_sample(subject: Subject, network: nn.Module | None = None) -> Sample:
    """Validation examples as the data set holds them, with what the searched network makes of them, as it is read.

    `network` is in its place where it is a file.
    """
    data = subject.data_set
    if data is None:
        raise ExportRefused("raw inputs need the data set, which can't be loaded; put it back, or say other formats")
    whole = nn.Sequential(data.preparation, network or subject.model, data.task.reading()).eval()
    return _expected(whole, _spread(data.validation.inputs[:MOST]), "raw validation examples")


def _spread(examples: torch.Tensor) -> torch.Tensor:
    """`INPUTS` of them (some twice where there are fewer) from all over the set, which may be sorted by class."""
    return examples[torch.linspace(0, len(examples) - 1, INPUTS).long()]


def _expected(module: nn.Module, inputs: torch.Tensor, kind: str) -> Sample:
    given = inputs.numpy()
    with torch.no_grad():
        expected = np.concatenate([module(torch.from_numpy(batch)).numpy() for batch in batches(given)])
    if not np.isfinite(expected).all():
        raise ExportRefused("the searched network itself gives values that aren't finite; export another candidate")
    return Sample(given, expected, kind)


def verify(format: Format, folder: Path, sample: Sample) -> Check:
    """Run what `format` wrote to `folder` on the sample; raises `ExportRefused` where it is not the same network."""
    try:
        found = format.run(folder, sample.inputs)
    except ExportRefused:
        raise
    except Exception as error:
        line = " ".join(str(error).split())[:300]
        raise ExportRefused(f"{format.name}: the exported file can't be run: {type(error).__name__}: {line}") from error
    return compare(format.name, sample, found)


def compare(name: str, sample: Sample, found: np.ndarray) -> Check:
    """Outputs against the expected ones: largest difference and top-1.

    A changed top-1 counts unless the searched network's own two outputs for the classes in question differ by no more
    than the tolerance: which of two equal outputs comes first says nothing about the network.
    """
    expected = sample.expected
    if found.shape != expected.shape or not np.isfinite(found).all():
        raise ExportRefused(
            f"{name}: gives shape {found.shape} or values that aren't finite; expected {expected.shape}"
        )
    # Outputs that are all alike have no range; then they are compared by their size.
    extent = float(np.ptp(expected)) or float(np.abs(expected).max()) or 1.0
    tolerance = TOLERANCE * extent
    difference = float(np.abs(found.astype(np.float64) - expected).max())
    if difference > tolerance:
        raise ExportRefused(
            f"{name}: outputs differ from the searched network's by up to {difference:.3g} on {len(expected)} "
            f"{sample.kind}; allowed is {tolerance:.3g} ({TOLERANCE:g} of their range)"
        )
    first, other = (values.argmax(axis=1)[:, None] for values in (expected, found))
    chosen = [np.take_along_axis(expected, places, axis=1) for places in (first, other)]
    margins = (chosen[0] - chosen[1])[first != other]
    changed = int((margins > tolerance).sum())
    if changed:
        raise ExportRefused(f"{name}: the top-1 class differs {changed} times on {len(expected)} {sample.kind}")
    return Check(name, len(expected), sample.kind, difference, extent, tolerance, len(margins))

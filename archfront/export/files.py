"""Exporting a network that is a file already, and testing networks again before they leave."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from archfront.contracts import Metric, Objective, Provenance, WrongUse
from archfront.export.card import write_card, write_manifest
from archfront.export.errors import ExportRefused
from archfront.export.export import ExportResult, aside, check_free
from archfront.export.formats.onnx import FILE as MODEL
from archfront.export.formats.onnx import Onnx
from archfront.export.onnx_network import OnnxNetwork
from archfront.export.subject import Subject
from archfront.export.timing import timed_again

if TYPE_CHECKING:
    from evaluators.datasets import DataSet

FILE = "onnx"
"""The kind of artifact that is the network itself, where it has no form in torch."""
SAME = 0.01
"""By how much a measure of one file may be worse than recorded: integers are rounded otherwise on some hosts."""


def export_file(
    subject: Subject, file: Path, formats: Sequence[str] | None, to: Path, data: "DataSet | None", notes: Sequence[str]
) -> ExportResult:
    """Export a candidate that is an ONNX file, as a quantized one is, to the folder `to`.

    It is verified against its own recorded measure on all validation examples: there is no network in torch that it
    would have to agree with. Raises `WrongUse` for any other format, `ExportRefused` where the measure isn't reached.
    """
    others = [name for name in formats or () if name.strip() != Onnx.name]
    if others:
        raise WrongUse(
            f"candidate {subject.number} of '{subject.study}' is an ONNX file, so it can't be exported as "
            f"{', '.join(others)}; say --format onnx"
        )
    check_free(to)
    with aside(to) as folder:
        shutil.copyfile(file, folder / MODEL)
        lines = list(notes)
        if data is not None:
            lines += tested_again(subject, OnnxNetwork(folder / MODEL), data, same=True)
        lines += timed_again(subject, folder)
        card = write_card(subject, [Onnx()], [], folder, lines)
        write_manifest(folder)
        files = tuple(sorted(one.name for one in folder.iterdir()))
    return ExportResult(to, files, (), tuple(lines), card)


def tested_again(
    subject: Subject, network: nn.Module, data: "DataSet", most: int | None = None, same: bool = False
) -> list[str]:
    """A note on the network's first measure on up to `most` validation examples; refuses one worse than recorded.

    `same` says that it is the very file that was measured, so that hardly anything may differ.
    """
    from evaluators.datasets import Feed, Split
    from evaluators.tested import EVALUATION_BATCH, tested

    whole = data.validation
    part = whole if most is None else Split(whole.inputs[:most], whole.targets[:most])
    tally = tested(network, Feed(data, part).batches(EVALUATION_BATCH), data.task)
    found = tally.metrics(Provenance())[0]
    recorded = {metric.name: metric.value for metric in subject.metrics}.get(found.name)
    if recorded is not None:
        worse = Objective.parse(found.name).loss(found.value) - Objective.parse(found.name).loss(recorded)
        if worse > (SAME if same else _allowed(found, recorded, part.size < whole.size)):
            raise ExportRefused(
                f"the stored {'file reaches' if same else 'weights reach'} {found.name} {found.value:.4f} on "
                f"{part.size} validation examples, but {recorded:.4f} was recorded; "
                + ("this host computes otherwise" if same else "they are not those of this candidate")
            )
    return [f"{found.name} of the reloaded network on {part.size} validation examples: {found.value:.4f}"]


def _allowed(found: Metric, recorded: float, only_part: bool) -> float:
    """By how much other arithmetic (mixed precision), or a part of the examples, may move a figure."""
    if found.unit == "fraction":
        # Four standard errors of a proportion, or of what is as uncertain as the figure's own interval says.
        half = 0.0 if found.low is None or found.high is None else (found.high - found.low) / 2
        return max(0.02, 2 * half)
    return (0.25 if only_part else 0.02) * max(abs(recorded), 1e-6)

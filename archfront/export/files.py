"""Exporting a network that is a file already, and testing networks again before they leave."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from archfront.contracts import Metric, Objective, Provenance, WrongUse
from archfront.export.card import Written
from archfront.export.earlier import check_free, earlier
from archfront.export.errors import ExportRefused
from archfront.export.export import ExportResult, aside, finished
from archfront.export.formats.onnx import FILE as MODEL
from archfront.export.formats.onnx import Onnx
from archfront.export.formats.pipeline import Pipeline
from archfront.export.onnx_network import OnnxNetwork
from archfront.export.preprocessing import properties
from archfront.export.subject import Subject, silent
from archfront.export.timing import timed_again
from archfront.export.verify import raw_sample, verify

if TYPE_CHECKING:
    from evaluators.datasets import DataSet

FILE = "onnx"
"""The kind of artifact that is the network itself, where it has no form in torch."""
SAME = 0.01
"""By how much a measure of one file may be worse than recorded: integers are rounded otherwise on some hosts."""


def export_file(
    subject: Subject,
    file: Path,
    formats: Sequence[str] | None,
    to: Path,
    data: "DataSet | None",
    notes: Sequence[str],
    say: Callable[[str], None] = silent,
) -> ExportResult:
    """Export a candidate that is an ONNX file, as a quantized one is, to the folder `to`; as a pipeline, too.

    It is verified against its own recorded measure on all validation examples: there is no network in torch that it
    would have to agree with. Raises `WrongUse` for any other format, `ExportRefused` where the measure isn't reached.
    """
    names = [name.strip() for name in formats or ([] if data is None else [Pipeline.name])]
    others = [name for name in names if name not in (Onnx.name, Pipeline.name)]
    if others:
        raise WrongUse(
            f"candidate {subject.number} of '{subject.study}' is an ONNX file, so it can't be exported as "
            f"{', '.join(others)}; say --format {Onnx.name},{Pipeline.name}"
        )
    check_free(to)
    before = earlier(to, subject, [Onnx.name, *names])
    with aside(to) as folder:
        before.copied(to, folder)
        _with_properties(file, subject, folder / MODEL)
        network = OnnxNetwork(folder / MODEL)
        written = Written((Onnx(),), {Onnx.name: [MODEL]}, (), tuple(notes))
        if data is not None:
            say("testing the file on validation examples …")
            written = replace(written, notes=(*notes, *tested_again(subject, network, data, same=True)))
        if Pipeline.name in names:
            written = _with_pipeline(written, subject, network, folder, say)
        written = replace(written, notes=(*written.notes, *timed_again(subject, folder, say)))
        return finished(subject, written, before, to, folder)


def _with_pipeline(
    written: Written, subject: Subject, network: nn.Module, folder: Path, say: Callable[[str], None]
) -> Written:
    """What was written, and then the file in `folder` between what makes it take raw inputs and readable outputs."""
    pipeline = Pipeline()
    say(f"{pipeline.name}: converting …")
    files = pipeline.write(subject, folder)
    check = verify(pipeline, folder, raw_sample(subject, network))
    say(f"{pipeline.name}: verified on {check.said}")
    return Written(
        (*written.formats, pipeline),
        {**written.files, pipeline.name: files},
        (check,),
        (*written.notes, *pipeline.remarks(subject, folder)),
    )


def _with_properties(file: Path, subject: Subject, to: Path) -> None:
    """Write the network of a file to `to`, which also says what it takes and what its outputs are called."""
    import onnx

    model = onnx.load(str(file))
    onnx.helper.set_model_props(model, {**{p.key: p.value for p in model.metadata_props}, **properties(subject)})
    onnx.save(model, str(to))


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

"""ONNX from raw inputs to readable outputs: preparation, network and reading in one file."""

from pathlib import Path

import numpy as np
import torch

from archfront.export.errors import ExportRefused
from archfront.export.formats import FORMATS, Format
from archfront.export.formats.onnx import ran, written
from archfront.export.subject import Subject

FILE = "pipeline.onnx"


@FORMATS.register("pipeline")
class Pipeline(Format):
    """The deployed form between what the data set does to raw inputs and what makes its outputs readable, as ONNX.

    Takes inputs as the data set holds them (uint8 pixels, int16 samples of a waveform, numbers of tokens, columns of a
    table), and gives probabilities of classes, or values in the target's unit.
    """

    name = "pipeline"
    packages = ("torch", "onnx", "onnxscript", "onnxruntime")
    raw = True

    def write(self, subject: Subject, folder: Path) -> list[str]:
        data = subject.data_set
        if data is None:
            raise ExportRefused(
                "pipeline: what the data set does to raw inputs isn't known, since it can't be loaded; put the data "
                "back, or export other formats: --format onnx"
            )
        whole = torch.nn.Sequential(data.preparation, subject.deployed, data.task.reading()).eval()
        return written(self.name, whole, data.validation.inputs[:2], subject, folder / FILE)

    def run(self, folder: Path, inputs: np.ndarray) -> np.ndarray:
        return ran(folder / FILE, inputs)

    def usage(self, subject: Subject) -> str:
        data = subject.data_set
        assert data is not None  # Written, so it was there.
        raw = data.validation.inputs[:1]
        shape = ", ".join(map(str, raw.shape[1:]))
        kind = str(raw.dtype).removeprefix("torch.")
        return (
            "import onnxruntime\n"
            f'session = onnxruntime.InferenceSession("{FILE}")\n'
            f'outputs = session.run(None, {{"inputs": inputs}})[0]  # inputs: {kind} (batch, {shape}), as they come; '
            f"outputs: {data.task.readable}"
        )

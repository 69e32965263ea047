"""ONNX: the deployed form with a batch of any size, for ONNX Runtime and all that reads ONNX."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from archfront.export.errors import ExportRefused
from archfront.export.formats import FORMATS, Format, batches
from archfront.export.preprocessing import properties
from archfront.export.subject import Subject
from search_spaces.example_inputs import no_inputs

FILE = "model.onnx"
OPSET = 20
LARGEST = 1_900_000_000
"""Bytes of weights up to which they are kept inside the file, whose format ends at 2 GB."""


@FORMATS.register("onnx")
class Onnx(Format):
    """The deployed form as ONNX, input `inputs` (batch, ...), output `outputs` (batch, ...)."""

    name = "onnx"
    packages = ("torch", "onnx", "onnxscript", "onnxruntime")

    def write(self, subject: Subject, folder: Path) -> list[str]:
        # Traced with a batch of 2: torch.export takes a 1 for a constant.
        example = no_inputs(subject.model, subject.inputs, 2)
        return written(self.name, subject.deployed, example, subject, folder / FILE)

    def run(self, folder: Path, inputs: np.ndarray) -> np.ndarray:
        return ran(folder / FILE, inputs)

    def usage(self, subject: Subject) -> str:
        return (
            "import onnxruntime\n"
            f'session = onnxruntime.InferenceSession("{FILE}")\n'
            f'outputs = session.run(None, {{"inputs": inputs}})[0]  # inputs: {subject.takes}'
        )


def written(name: str, module: nn.Module, example: torch.Tensor, subject: Subject, file: Path) -> list[str]:
    """Write the module as ONNX with a batch of any size; gives the names of the files. Raises `ExportRefused`."""
    size = sum(tensor.numel() * tensor.element_size() for tensor in subject.state.values())
    program = converted(name, module, example)
    program.model.metadata_props.update(properties(subject))
    program.save(str(file), external_data=size > LARGEST)
    return sorted(found.name for found in file.parent.glob(file.name + "*"))


def converted(name: str, module: nn.Module, example: torch.Tensor) -> Any:
    """The module as torch's `ONNXProgram`, `inputs` to `outputs`, with a batch of any size. Raises `ExportRefused`."""
    with _quiet():
        try:
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=["inputs"],
                output_names=["outputs"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
        except Exception as error:
            raise ExportRefused(f"{name}: torch can't convert this network: {_line(error)}") from error
    assert program is not None
    return program


def ran(file: Path, inputs: np.ndarray) -> np.ndarray:
    """The outputs of an ONNX file for inputs (n, ...), by ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"inputs": batch})[0] for batch in batches(inputs)])


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's advice to its developers, which isn't for those who export."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(before)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]

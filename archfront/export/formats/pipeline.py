"""ONNX from raw inputs to readable outputs: preparation, network and reading in one file."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from archfront.export.chain import chained
from archfront.export.errors import ExportRefused
from archfront.export.formats import FORMATS, Format
from archfront.export.formats.onnx import FILE as NETWORK
from archfront.export.formats.onnx import LARGEST, OPSET, Onnx, converted, ran
from archfront.export.preprocessing import picture_shape, properties
from archfront.export.scaling import as_rgb, check_scaling, other_sizes, scaling
from archfront.export.script import SCRIPT, script
from archfront.export.subject import Subject

if TYPE_CHECKING:
    from onnx import ModelProto

    from evaluators.datasets import DataSet

FILE = "pipeline.onnx"
LOOKED_AT = 6
"""So many pictures, in other sizes than the data set's, are scaled to see that this is done as for training."""


@FORMATS.register("pipeline")
class Pipeline(Format):
    """The deployed form between what the data set does to raw inputs and what makes its outputs readable, as ONNX.

    Takes pictures as uint8 RGB (batch, height, width, 3) of any size, where the data set's are grey or colour ones of 8
    bits; else inputs as the data set holds them (int16 samples of a waveform, numbers of tokens, columns of a table).
    Gives probabilities of classes, or values in the target's unit. Beside it lies a script that says what is seen in
    pictures.
    """

    name = "pipeline"
    packages = ("torch", "onnx", "onnxscript", "onnxruntime")
    raw = True

    def write(self, subject: Subject, folder: Path) -> list[str]:
        import onnx

        data = subject.data_set
        if data is None:
            raise ExportRefused(
                "pipeline: what the data set does to raw inputs isn't known, since it can't be loaded; put the data "
                "back, or export other formats: --format onnx"
            )
        raw = data.validation.inputs[:2]
        network = _network(subject, folder)
        prepared = data.prepared(raw)
        outputs = torch.zeros(2, *_shape(subject, prepared))
        shape = picture_shape(data)
        parts = {
            **({} if shape is None else {"scaling": scaling(shape, OPSET, network.ir_version)}),
            "preparation": converted(self.name, data.preparation.eval(), raw).model_proto,
            "network": network,
            "reading": converted(self.name, data.task.reading().eval(), outputs).model_proto,
        }
        said = {**properties(subject), "form": self.name, "takes": self._takes(data)}
        onnx.save(chained(parts, said), str(folder / FILE))
        names = [FILE, *sorted(file.name for file in folder.glob(NETWORK + ".*"))]
        if shape is not None and len(outputs.shape) == 2:
            (folder / SCRIPT).write_text(script(data.task.kind), encoding="utf-8")
            names.append(SCRIPT)
        return names

    def run(self, folder: Path, inputs: np.ndarray) -> np.ndarray:
        return ran(folder / FILE, as_rgb(inputs) if _takes_pictures(folder / FILE) else inputs)

    def remarks(self, subject: Subject, folder: Path) -> list[str]:
        """How near pictures of other sizes come to what training would have made of them."""
        data = subject.data_set
        shape = None if data is None else picture_shape(data)
        if data is None or shape is None:
            return []
        pictures = other_sizes(data.validation.inputs[:LOOKED_AT].numpy())
        return [check_scaling(scaling(shape, OPSET, 10), pictures, shape)]

    def usage(self, subject: Subject) -> str:
        data = subject.data_set
        assert data is not None  # Written, so it was there.
        if picture_shape(data) is not None:
            return (
                "import numpy, onnxruntime\n"
                "from PIL import Image, ImageOps\n"
                f'session = onnxruntime.InferenceSession("{FILE}")\n'
                'picture = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")\n'
                'outputs = session.run(None, {"inputs": numpy.asarray(picture)[None]})[0]  '
                f"# inputs: {self._takes(data)}; outputs: {data.task.readable}"
            )
        return (
            "import onnxruntime\n"
            f'session = onnxruntime.InferenceSession("{FILE}")\n'
            f'outputs = session.run(None, {{"inputs": inputs}})[0]  # inputs: {self._takes(data)}; '
            f"outputs: {data.task.readable}"
        )

    @staticmethod
    def _takes(data: "DataSet") -> str:
        """What inputs are, in words."""
        if picture_shape(data) is not None:
            return "uint8 RGB (batch, height, width, 3), pictures of any size"
        raw = data.validation.inputs
        shape = ", ".join(map(str, raw.shape[1:]))
        return f"{str(raw.dtype).removeprefix('torch.')} (batch, {shape}), as they come"


def _network(subject: Subject, folder: Path) -> "ModelProto":
    """The network alone: the file that lies in `folder`, or one that is made for this.

    Weights that don't fit into a file stay in one beside, to which both graphs refer.
    """
    import onnx

    if (folder / NETWORK).is_file():
        return onnx.load(str(folder / NETWORK), load_external_data=False)
    if sum(tensor.numel() * tensor.element_size() for tensor in subject.state.values()) > LARGEST:
        Onnx().write(subject, folder)
        return onnx.load(str(folder / NETWORK), load_external_data=False)
    with tempfile.TemporaryDirectory() as scratch:
        Onnx().write(subject, Path(scratch))
        return onnx.load(str(Path(scratch, NETWORK)))


def _shape(subject: Subject, prepared: torch.Tensor) -> tuple[int, ...]:
    """The shape of what the network gives for one prepared example."""
    with torch.no_grad():
        return tuple(subject.model(prepared[:1]).shape[1:])


def _takes_pictures(file: Path) -> bool:
    """Whether a pipeline takes RGB pictures of any size."""
    import onnx

    sides = onnx.load(str(file), load_external_data=False).graph.input[0].type.tensor_type.shape.dim
    return len(sides) == 4 and bool(sides[1].dim_param) and sides[3].dim_value == 3

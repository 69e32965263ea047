"""Static quantization to integers of 8 bits."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch

from archfront.export.errors import ExportRefused
from archfront.export.formats.onnx import FILE, Onnx
from archfront.export.subject import Subject
from archfront.finishing import Finisher, Given, Product
from archfront.finishing._contract import check_count
from evaluators.datasets import Feed
from search_spaces.errors import SpaceError
from search_spaces.parts import part

BATCH = 64
OPERATORS = (
    *("Conv", "Gemm", "MatMul", "Add", "Mul", "Concat"),
    *("AveragePool", "GlobalAveragePool", "MaxPool", "Relu", "Clip"),
)
"""What ONNX Runtime has kernels in 8 bits for; around all else, as a GELU, it would convert there and back."""


@part(
    "finisher",
    "static_int8",
    source="Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
)
class StaticInt8(Finisher):
    """Weights and activations in 8 bits: what ONNX Runtime's `quantize_static` makes of the deployed network.

    The ranges of activations are those on training `examples` (`calibration` says how they are taken from what was
    seen), the weights' are theirs, channel by channel unless `per_channel` is off; both are written between pairs of
    QuantizeLinear and DequantizeLinear. The network is an ONNX file from then on. Nothing is trained.
    """

    examples: int = 256
    calibration: Literal["minmax", "entropy", "percentile"] = "minmax"
    per_channel: bool = True

    final = True

    def validate(self) -> None:
        check_count(self.examples, "static_int8.examples", 1)
        if self.calibration not in ("minmax", "entropy", "percentile"):
            raise SpaceError(f"is minmax, entropy or percentile, not {self.calibration!r}", "static_int8.calibration")
        if not isinstance(self.per_channel, bool):
            raise SpaceError(f"is true or false, not {self.per_channel!r}", "static_int8.per_channel")

    def finish(self, given: Given) -> Product:
        float32 = _exported(given)
        file = given.folder / "int8.onnx"
        with _quiet():
            try:
                self._quantize(given, float32, file)
            except Exception as error:
                line = " ".join(f"{type(error).__name__}: {error}".split())[:300]
                raise SpaceError(f"static_int8: ONNX Runtime can't quantize this network: {line}") from error
        weights = _say_int8(file)
        if not weights:
            raise SpaceError("static_int8: the network has no weights that could be quantized; take another candidate")
        seen = min(self.examples, given.data.train.size)
        note = f"{weights} weights in 8 bits, ranges of activations on {seen} examples"
        return Product(given.architecture, given.state, note, file, "int8")

    def _quantize(self, given: Given, float32: Path, file: Path) -> None:
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        prepared = given.folder / "prepared.onnx"
        # Shapes of symbols need more operators to be known than networks here keep to; ONNX's own inference is left.
        quant_pre_process(str(float32), str(prepared), skip_symbolic_shape=True)
        methods = {
            "minmax": CalibrationMethod.MinMax,
            "entropy": CalibrationMethod.Entropy,
            "percentile": CalibrationMethod.Percentile,
        }
        quantize_static(
            str(prepared),
            str(file),
            _Reader(given, self.examples),
            quant_format=QuantFormat.QDQ,
            # x86 processors multiply unsigned by signed bytes: signed activations made a network twice as slow there.
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=self.per_channel,
            calibrate_method=methods[self.calibration],
            op_types_to_quantize=list(OPERATORS),
        )


class _Reader:
    """Training examples from all over the data set, batch by batch, as ONNX Runtime's calibration asks for them."""

    def __init__(self, given: Given, examples: int) -> None:
        size = given.data.train.size
        chosen = torch.arange(0, size, max(1, size // examples))[:examples]
        feed = Feed(given.data, given.data.train)
        self._batches: Iterator[Any] = iter([feed.take(batch)[0].contiguous().numpy() for batch in chosen.split(BATCH)])

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"inputs": batch}


def _exported(given: Given) -> Path:
    """The deployed network as ONNX."""
    state = {name: tensor.detach() for name, tensor in given.state.items()}
    subject = Subject(given.architecture, state, given.data.inputs, given.data.outputs)
    try:
        Onnx().write(subject, given.folder)
    except ExportRefused as error:
        raise SpaceError(f"static_int8: {error}") from None
    return given.folder / FILE


def _say_int8(file: Path) -> int:
    """Note the precision in the file's own metadata; gives how many weights it holds in 8 bits."""
    import onnx

    model = onnx.load(file)
    onnx.helper.set_model_props(model, {**{p.key: p.value for p in model.metadata_props}, "precision": "int8"})
    onnx.save(model, file)
    bytes_ = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT8}
    return sum(node.op_type == "DequantizeLinear" and node.input[0] in bytes_ for node in model.graph.node)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without ONNX Runtime's advice on pre-processing, which was done."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)

"""ONNX Runtime on the CPU."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardware_profiles.runtimes.base import RUNTIMES, Array, Loaded, Runtime, Unsupported, first_line

if TYPE_CHECKING:
    from torch import Tensor, nn

TYPES = {"tensor(float)": "float32", "tensor(int64)": "int64"}
"""What a network may take: numbers, or tokens."""
OPSET = 20
"""The highest opset of the TorchScript exporter; it has GELU and LayerNorm as operators of their own."""


@RUNTIMES.register("onnxruntime")
class OnnxRuntime(Runtime):
    """ONNX Runtime's CPU provider: networks are converted to float32, files of other precisions timed as they are."""

    name = "onnxruntime"
    suffix = ".onnx"
    package = "onnxruntime"
    options = ("graph_optimization",)

    def version(self) -> str:
        return version("onnxruntime")

    def convert(self, model: "nn.Module", inputs: tuple[int, ...], batch: int, folder: Path) -> Path:
        from search_spaces.example_inputs import no_inputs

        example = no_inputs(model, inputs, batch)
        path = folder / f"network{self.suffix}"
        try:
            _export_traced(model, example, path)
            _session(path)
        except Exception as traced:
            # The exporter built on torch.export knows more operators, and takes ten times as long. What the other one
            # writes isn't always a file that loads.
            try:
                _export_program(model, example, path)
            except Exception as error:
                reason = f"{first_line(error)}; with the TorchScript exporter: {first_line(traced)}"
                raise Unsupported(f"can't be converted to ONNX: {reason}") from error
        return path

    def warm(self) -> None:
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)

    def load(self, path: Path, threads: int, options: Mapping[str, Any]) -> Loaded:
        try:
            session = _session(path, threads, options.get("graph_optimization", True))
        except Exception as error:
            raise Unsupported(f"ONNX Runtime can't load it: {first_line(error)}") from error
        given = session.get_inputs()
        if len(given) != 1 or given[0].type not in TYPES:
            what = ", ".join(f"{item.name}: {item.type}" for item in given)
            raise Unsupported(f"a network with one float32 or int64 input can be timed, not one with {what or 'none'}")
        # A named axis (a batch that is left open) is taken as 1.
        shape = tuple(size if isinstance(size, int) else 1 for size in given[0].shape)
        feed, outputs, run = given[0].name, [session.get_outputs()[0].name], session.run

        def call(array: Array) -> Array:
            return run(outputs, {feed: array})[0]

        # A quantized file says so itself: its inputs and outputs are float32 all the same.
        said = session.get_modelmeta().custom_metadata_map.get("precision")
        return Loaded(call, shape, TYPES[given[0].type], "int8" if said == "int8" else "float32")


def _session(path: Path, threads: int = 1, optimized: bool = True) -> Any:
    """ONNX Runtime's session of a file."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    if not optimized:
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])


def _export_traced(model: "nn.Module", example: "Tensor", path: Path) -> None:
    import torch

    _register_rms_norm()
    with _silent():
        torch.onnx.export(
            model, (example,), path, dynamo=False, opset_version=OPSET, input_names=["input"], output_names=["output"]
        )


def _export_program(model: "nn.Module", example: "Tensor", path: Path) -> None:
    import torch

    with _silent():
        torch.onnx.export(
            model,
            (example,),
            path,
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=["input"],
            output_names=["output"],
        )


@contextmanager
def _silent() -> Iterator[None]:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@cache
def _register_rms_norm() -> None:
    """Teach the TorchScript exporter RMSNorm, spelt as ONNX Runtime's fusion of it expects."""
    import torch
    from torch.onnx import symbolic_helper

    @symbolic_helper.parse_args("v", "is", "v", "f")
    def rms_norm(g: Any, x: Any, shape: list[int], weight: Any, eps: float | None) -> Any:
        axes = g.op("Constant", value_t=torch.arange(-len(shape), 0))
        square = g.op("Pow", x, g.op("Constant", value_t=torch.tensor(2.0)))
        mean = g.op("ReduceMean", square, axes, keepdims_i=1)
        epsilon = torch.finfo(torch.float32).eps if eps is None else eps
        root = g.op("Sqrt", g.op("Add", mean, g.op("Constant", value_t=torch.tensor(epsilon))))
        normal = g.op("Div", x, root)
        return normal if symbolic_helper._is_none(weight) else g.op("Mul", normal, weight)

    torch.onnx.register_custom_op_symbolic("aten::rms_norm", rms_norm, OPSET)

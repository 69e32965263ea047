"""Pictures of any size as a data set holds them, as an ONNX graph; scaled exactly as Pillow scales them."""

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from archfront.export.errors import ExportRefused
from archfront.export.preprocessing import CHANNELS
from evaluators.picture_files import fitted

if TYPE_CHECKING:
    from onnx import ModelProto

LEVELS = 1
"""By so much of 255 a scaled value may differ from Pillow's, whose roundings ONNX Runtime repeats but for a few."""
SHARE = 0.05
"""In at most so large a share of the values."""
GREY = [19595, 38470, 7471]
"""Pillow's shares of red, green and blue in brightness, of 65536."""
SIZES = ((1.0, 1.0), (2.37, 1.9), (1.21, 3.3), (0.61, 0.83), (5.3, 5.9), (1.0, 1.7))
"""Heights and widths that scaling is checked on, as multiples of the data set's."""


def scaling(shape: tuple[int, int, int], opset: int, ir_version: int) -> "ModelProto":
    """The graph from `inputs`, uint8 RGB (batch, height, width, 3) of any size, to `outputs`, uint8 (batch, *shape).

    As `evaluators.picture_files.fitted`: scaled until the picture covers the size, then cropped in the middle. `shape`
    is (1 or 3, height, width).
    """
    from onnx import TensorProto, helper, numpy_helper

    channels, height, width = shape
    constants = {
        "target": np.array([height, width], np.int64),
        "two": np.array([2], np.int64),
        "sides": np.array([1, 2], np.int64),
        "channel": np.array([3], np.int64),
        "shares": np.array(GREY, np.int32),
        "half": np.array(2**15, np.int32),
        "whole": np.array(2**16, np.int32),
    }

    def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
        return helper.make_node(kind, [name.strip() for name in inputs.split(",")], [output], **attributes)

    grey = [
        node("Cast", "inputs", "wide", to=TensorProto.INT32),
        node("Mul", "wide, shares", "shared"),
        node("ReduceSum", "shared, channel", "summed", keepdims=1),
        node("Add", "summed, half", "rounded_up"),
        node("Div", "rounded_up, whole", "brightness"),
        node("Cast", "brightness", "pixels", to=TensorProto.UINT8),
    ]
    nodes = [
        *(grey if channels == 1 else [node("Identity", "inputs", "pixels")]),
        node("Shape", "inputs", "given", start=1, end=3),
        # In double precision, and rounded half to even, as Python computes the size.
        node("Cast", "given", "given_double", to=TensorProto.DOUBLE),
        node("Cast", "target", "target_double", to=TensorProto.DOUBLE),
        node("Div", "target_double, given_double", "ratios"),
        node("ReduceMax", "ratios", "scale", keepdims=1),
        node("Mul", "given_double, scale", "covering"),
        node("Round", "covering", "covering_rounded"),
        node("Cast", "covering_rounded", "covering_whole", to=TensorProto.INT64),
        node("Max", "covering_whole, target", "sizes"),
        node(
            "Resize",
            "pixels, , , sizes",
            "scaled",
            mode="cubic",
            cubic_coeff_a=-0.5,
            antialias=1,
            exclude_outside=1,
            coordinate_transformation_mode="half_pixel",
            axes=[1, 2],
        ),
        node("Sub", "sizes, target", "spare"),
        node("Div", "spare, two", "begin"),
        node("Add", "begin, target", "end"),
        node("Slice", "scaled, begin, end, sides", "cropped"),
        node("Transpose", "cropped", "outputs", perm=[0, 3, 1, 2]),
    ]
    graph = helper.make_graph(
        nodes,
        "scaling",
        [helper.make_tensor_value_info("inputs", TensorProto.UINT8, ["batch", "height", "width", 3])],
        [helper.make_tensor_value_info("outputs", TensorProto.UINT8, ["batch", channels, height, width])],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if _used(name, nodes)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def _used(name: str, nodes: list[Any]) -> bool:
    return any(name in node.input for node in nodes)


def as_rgb(raw: np.ndarray) -> np.ndarray:
    """Pictures as a data set holds them, uint8 (n, 1 or 3, height, width), as (n, height, width, 3)."""
    return np.ascontiguousarray(np.repeat(raw, 3 // raw.shape[1], axis=1).transpose(0, 2, 3, 1))


def other_sizes(raw: np.ndarray) -> list[Image.Image]:
    """The given pictures, uint8 (n, 1 or 3, height, width), as RGB pictures of the `SIZES`, one of each."""
    height, width = raw.shape[2:]
    pixels = as_rgb(raw)
    return [
        Image.fromarray(pixels[place % len(pixels)]).resize((max(1, round(width * wide)), max(1, round(height * high))))
        for place, (high, wide) in enumerate(SIZES)
    ]


def check_scaling(model: "ModelProto", pictures: list[Image.Image], shape: tuple[int, int, int]) -> str:
    """A note on how near the graph comes to Pillow; raises `ExportRefused` where it is beyond `LEVELS` or `SHARE`."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    most, share = 0, 0.0
    for picture in pictures:
        [found] = session.run(None, {"inputs": np.asarray(picture)[None]})
        wanted = np.asarray(fitted(picture.convert(CHANNELS[shape[0]]), shape[2], shape[1]))
        wanted = wanted.reshape(shape[1], shape[2], shape[0]).transpose(2, 0, 1)
        distance = np.abs(found[0].astype(int) - wanted)
        most, share = max(most, int(distance.max())), max(share, float((distance > 0).mean()))
    if most > LEVELS or share > SHARE:
        raise ExportRefused(
            f"pipeline: ONNX Runtime scales pictures otherwise than Pillow, by up to {most} of 255 in {share:.2%} of "
            f"the values (allowed are {LEVELS} and {SHARE:.0%}); export other formats: --format onnx"
        )
    return (
        f"pipeline: pictures of {len(pictures)} sizes scaled as by Pillow, within {most} of 255 in {share:.2%} of the "
        "values"
    )

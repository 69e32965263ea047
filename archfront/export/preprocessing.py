"""What is done to raw inputs before a network sees them, and what its outputs are called, as every export says it."""

import json
from typing import TYPE_CHECKING, Any

import torch

from archfront.export.subject import Subject

if TYPE_CHECKING:
    from evaluators.datasets import DataSet

CHANNELS = {1: "L", 3: "RGB"}
"""Pillow's modes for pictures of so many channels."""


def picture_shape(data: "DataSet") -> tuple[int, int, int] | None:
    """Channels, height and width of 8-bit grey or colour pictures, before their preparation; None for other data."""
    raw = data.validation.inputs
    shape = tuple(raw.shape[1:])
    if data.medium != "pictures" or raw.dtype != torch.uint8 or len(shape) != 3 or shape[0] not in CHANNELS:
        return None
    return shape


def described(data: "DataSet") -> dict[str, Any]:
    """What has to be done to raw inputs, as JSON values.

    Of pictures: how they are scaled and cropped to `size` (height, width), Pillow's `mode`, the `channel_order` and
    `layout`; then, where inputs are standardized, (value / `scale` - `mean`) / `std` by channel.
    """
    from evaluators.datasets.preparation import Normalization

    raw, preparation = data.validation.inputs, data.preparation
    said: dict[str, Any] = {"medium": data.medium}
    shape = picture_shape(data)
    if shape is not None:
        mode = CHANNELS[shape[0]]
        said |= {
            "size": list(shape[1:]),
            "orientation": "upright, by EXIF",
            "resize": "bicubic, antialiased, the width and then the height, until both cover the size (Pillow)",
            "crop": "centre",
            "mode": mode,
            "channel_order": mode if mode == "RGB" else "grey",
            "layout": "NCHW",
        }
    else:
        said |= {"type": str(raw.dtype).removeprefix("torch."), "shape": ["batch", *raw.shape[1:]]}
    said["preparation"] = preparation.describe()
    if isinstance(preparation, Normalization):
        said |= {"scale": preparation.scale, "mean": preparation.mean.tolist(), "std": preparation.std.tolist()}
    return said


def output_names(subject: Subject) -> tuple[str, ...]:
    """What each output is called: the classes, or the columns of a regression; none where nobody says."""
    task = subject.data_set.task if subject.data_set is not None else None
    return subject.classes or tuple(getattr(task, "columns", ()))


def properties(subject: Subject) -> dict[str, str]:
    """What an exported file says about itself, as texts; values that have parts are JSON."""
    said = {"study": subject.study, "digest": subject.digest, "architecture": subject.outline, "takes": subject.takes}
    if subject.classes:
        said["classes"] = json.dumps(subject.classes, ensure_ascii=False)
    data = subject.data_set
    if data is None:
        return said
    said |= {"task": data.task.name, "kind": data.task.kind, "readable": data.task.readable}
    if names := output_names(subject):
        said["names"] = json.dumps(names, ensure_ascii=False)
    return said | {"preprocessing": json.dumps(described(data), ensure_ascii=False)}

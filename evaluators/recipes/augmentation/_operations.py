"""The operations on pictures that RandAugment and TrivialAugment draw from, by torchvision."""

from collections.abc import Callable
from math import atan, degrees
from typing import Any

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports torchvision)

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as pictures

from evaluators.datasets.preparation import Normalization

Operation = Callable[[Tensor, float], Tensor]
"""From pictures (n, channels, height, width) of values from 0 to 1, and a strength, to such pictures."""
SIGNED = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness", "color", "contrast", "sharpness")
"""What goes either way, each equally often."""


def _affine(x: Tensor, angle: float = 0.0, move: tuple[int, int] = (0, 0), shear: tuple[float, float] = (0, 0)) -> Any:
    return pictures.affine(x, angle, list(move), 1.0, list(shear), center=[0, 0] if any(shear) else None)


OPERATIONS: dict[str, Operation] = {
    "identity": lambda x, _: x,
    "shear_x": lambda x, strength: _affine(x, shear=(degrees(atan(strength)), 0.0)),
    "shear_y": lambda x, strength: _affine(x, shear=(0.0, degrees(atan(strength)))),
    "translate_x": lambda x, strength: _affine(x, move=(int(strength), 0)),
    "translate_y": lambda x, strength: _affine(x, move=(0, int(strength))),
    "rotate": lambda x, strength: pictures.rotate(x, strength),
    "brightness": lambda x, strength: pictures.adjust_brightness(x, 1 + strength),
    "color": lambda x, strength: pictures.adjust_saturation(x, 1 + strength),
    "contrast": lambda x, strength: pictures.adjust_contrast(x, 1 + strength),
    "sharpness": lambda x, strength: pictures.adjust_sharpness(x, 1 + strength),
    "posterize": lambda x, strength: pictures.posterize(x, int(strength)),
    "solarize": lambda x, strength: pictures.solarize(x, strength),
    "autocontrast": lambda x, _: pictures.autocontrast(x),
    "equalize": lambda x, _: pictures.equalize(x),
}


def transformed(inputs: Tensor, data: Any, chosen: Tensor, strengths: Callable[[str, int], float], bins: Tensor) -> Any:
    """Prepared pictures, each after one operation, on values from 0 to 1.

    `chosen` (n,) are numbers of operations, `bins` (n,) how strong, negative the other way; `strengths(name, bin)`
    says what a bin means.
    """
    unit, back = _unit(inputs, data)
    made = unit.clone()
    names = list(OPERATIONS)
    for number, bin in torch.stack([chosen, bins], 1).unique(dim=0).tolist():
        name = names[number]
        if name == "identity":
            continue
        # Of one picture's whole operation, pictures that draw the same share a call.
        which = ((chosen == number) & (bins == bin)).nonzero().flatten().to(inputs.device)
        strength = strengths(name, abs(bin)) * (-1 if bin < 0 and name in SIGNED else 1)
        made[which] = OPERATIONS[name](unit[which].contiguous(), strength)
    return back(made)


def _unit(inputs: Tensor, data: Any) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Prepared pictures as values from 0 to 1, and the way back.

    What white and black are is known of pictures of bytes; of others, the batch's extremes stand for them.
    """
    mean, std = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    if isinstance(data.preparation, Normalization):
        mean, std = (value.view(1, -1, 1, 1) for value in (data.preparation.mean, data.preparation.std))
    mean, std = mean.to(inputs), std.to(inputs)
    values = inputs * std + mean
    low, high = values.new_zeros(()), values.new_ones(())
    if not isinstance(data.preparation, Normalization) or data.preparation.scale != 255:
        low, high = values.min(), values.max().clamp(min=float(values.min()) + 1e-6)
    unit = ((values - low) / (high - low)).clamp(0, 1)
    return unit, lambda made: (made * (high - low) + low - mean) / std

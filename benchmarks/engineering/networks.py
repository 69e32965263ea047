"""The eight small networks of timm that an engineer tries first, fitted to the size of the pictures."""

from dataclasses import dataclass
from math import ceil
from typing import Any

import search_spaces.torchvision_operators  # isort: skip  # noqa: F401 -- before timm
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

NETWORKS: dict[str, dict[str, Any]] = {
    "lcnet_050": {},
    "lcnet_100": {},
    "mobilenetv3_small_050": {},
    "mobilenetv3_small_100": {},
    "mobilenetv4_conv_small": {},
    "regnetx_002": {},
    "resnet10t": {},
    "resnet10t, half as wide": {"channels": (32, 64, 128, 256), "stem_width": 16},
}
"""The networks, each with the arguments that its model of timm gets.

Dense convolutions learn from far fewer pictures than depthwise ones; hence two ResNets. RepVGG and MobileOne are left
out: training them on pictures of 128 pixels, channels last, crashed torch 2.13 (CPU) in the backward pass.
"""
SHRUNK = 128
"""Larger pictures are shrunk to about so many pixels."""


@dataclass(frozen=True)
class Fit:
    """How a network meets small pictures: they are shrunk or enlarged by a factor, or its stem strides less.

    `shrink` is the side of the squares that are averaged to a pixel, `enlarge` the factor of bilinear interpolation;
    one of the two is 1.
    """

    shrink: int = 1
    enlarge: int = 1
    stem_stride: int = 2

    def __str__(self) -> str:
        words = [f"shrunk {self.shrink}×"] * (self.shrink > 1) + [f"enlarged {self.enlarge}×"] * (self.enlarge > 1)
        return ", ".join([*words, *["stem stride 1"] * (self.stem_stride == 1)]) or "as it is"

    def side(self, side: int) -> int:
        """What the side of a picture becomes."""
        return side * self.enlarge // self.shrink

    def prepared(self, x: Tensor) -> Tensor:
        """Pictures as the network itself takes them."""
        if self.shrink > 1:
            x = functional.avg_pool2d(x, self.shrink)
        if self.enlarge > 1:
            x = functional.interpolate(x, scale_factor=float(self.enlarge), mode="bilinear", align_corners=False)
        return x


def fits(side: int) -> tuple[Fit, Fit]:
    """The usual fit for pictures of this side, about the detail of 64 pixels, and one other that is worth a trial."""
    if side < 32:
        return Fit(enlarge=2, stem_stride=1), Fit(stem_stride=1)
    if side <= 40:
        return Fit(stem_stride=1), Fit()
    if side <= 80:
        return Fit(), Fit(stem_stride=1)
    shrink = ceil(side / SHRUNK)
    return Fit(shrink=2 * shrink), Fit(shrink=shrink)


def refit(model: nn.Module, fit: Fit) -> nn.Module:
    """The network with the stem's stride of another fit, in place; its weights suit as they are."""
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    first.stride = (fit.stem_stride, fit.stem_stride)
    return model


def network(name: str, inputs: tuple[int, ...], outputs: int, fit: Fit, seed: int) -> nn.Module:
    """The network of timm for pictures of shape `inputs`, with random weights, in channels last."""
    torch.manual_seed(seed)
    model = timm.create_model(name.partition(",")[0], num_classes=outputs, in_chans=inputs[0], **NETWORKS[name])
    return refit(model, fit).to(memory_format=torch.channels_last)


class Deployed(nn.Module):
    """The network behind its fit: what is handed over and timed."""

    def __init__(self, model: nn.Module, fit: Fit) -> None:
        super().__init__()
        self.model, self.fit = model, fit

    def forward(self, x: Tensor) -> Tensor:
        return self.model(self.fit.prepared(x))
